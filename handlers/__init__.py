"""The TorchServe handler."""
