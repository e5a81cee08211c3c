"""Training from the command line, and whether the new version may be released.

Not here: training itself (the package `training`).
"""
