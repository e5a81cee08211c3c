"""The fraud command."""
