"""Past transactions into Redis, so that history features begin with a past; and labels out of it, for training.

Not here: what is kept in Redis and how (the package `history`).
"""
