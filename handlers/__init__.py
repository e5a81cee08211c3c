"""The TorchServe handler that is packed into each archive, and TorchServe's configuration.

Not here: what handler and gateway agree on (`contract`), and how TorchServe is started (`operations.torchserve`).
"""
