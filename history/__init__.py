"""History features: windows over earlier transactions, of a whole table in training and from Redis in serving.

Here: the layout of states, the plan of windows, their evaluation, the keys and scripts of Redis, the session by which
a batch enters, the journals of large batches, labels, and the epoch. Not here: connections. Nothing here does I/O:
callers send what these modules return, and hand them the replies.
"""
