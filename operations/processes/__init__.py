"""Programs that this one starts, keeps running and ends.

Not here: which programs a stack is made of (`operations.local.programs`).
"""
