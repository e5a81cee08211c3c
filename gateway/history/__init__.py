"""What transactions did before, from Redis: history features for scoring, and how a batch gets there.

Here: batches on their way in and out, the epoch that is watched, journals that are recovered. Not here: what is asked
of Redis, which is made in the package `history`, and connections (`gateway.redis`).
"""
