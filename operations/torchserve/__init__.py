"""Everything that depends on TorchServe: starting it, its readiness check, and a client of its APIs.

Not here: which versions it should have (`operations.rollout`).
"""
