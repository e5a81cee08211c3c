"""Tests of operations.torchserve."""
