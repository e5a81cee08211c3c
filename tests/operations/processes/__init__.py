"""Tests of operations.processes."""
