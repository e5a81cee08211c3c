"""Numbers, times, shares and tables as people write and read them.

Not here: what is said; each view says its own.
"""
