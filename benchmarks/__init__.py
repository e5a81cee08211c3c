"""What measures speed; run as `python -m benchmarks.<name>`, not by the tests."""
