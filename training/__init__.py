"""Training of the fraud models."""
