"""The whole system on one machine: its programs, and who keeps them running."""
