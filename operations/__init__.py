"""The `fraud` command, and what keeps the stack as the release record says.

Here at the top: the command line. Not here: what has a room of its own; each says what belongs there.
"""
