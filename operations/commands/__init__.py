"""The groups of `fraud` commands: options in, one call, and what is printed.

Not here: what a command does.
"""
