"""How other servers are found and asked: addresses, alerts, and what is known of the stack that runs.

Not here: TorchServe's own API (`operations.torchserve`).
"""
