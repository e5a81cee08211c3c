"""What `make fuzz` runs, with schemathesis from an environment of its own."""

import os

if "FUZZ" not in os.environ:  # `make test` runs without it.
    collect_ignore_glob = ["test_*.py"]
