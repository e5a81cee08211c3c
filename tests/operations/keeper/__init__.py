"""Tests of operations.keeper."""
