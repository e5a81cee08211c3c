"""The model store: versions, their archives and signatures, the release record, and what people see of them.

Not here: who writes the release record (`operations.rollout.release`).
"""
