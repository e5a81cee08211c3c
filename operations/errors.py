"""Errors for people: what happened and what to do, in one line; `fraud` prints them without a traceback."""


class OperationsError(Exception):
    """Something that was to be expected went wrong; its text is the whole message."""
