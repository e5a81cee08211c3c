"""Everything that knows TorchServe: how it is started, asked whether it is ready, and told what to load.

Not here: which versions it should have (`operations.rollout`).
"""
