"""History features for scoring, from Redis, and the batches that enter it.

Here: fetching and entering, the answers that are stored, the monitors of the epoch and of the key, and the recovery of
journals. Not here: what is sent to Redis, which the package `history` decides, and connections (`gateway.redis`).
"""
