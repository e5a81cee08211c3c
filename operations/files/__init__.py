"""Files that survive a crash, are opened once, and are readable to their owner alone.

Not here: what stands in them.
"""
