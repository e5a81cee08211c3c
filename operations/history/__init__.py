"""Loading past transactions into Redis, exporting labels from it for training, and changing its HISTORY_KEY.

Not here: what is kept in Redis and how (the package `history`).
"""
