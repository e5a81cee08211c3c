"""Labels that come in, days after their transactions: how they are read, kept and counted.

Not here: what a label changes in Redis (`history.labels`).
"""
