"""Errors for people: what happened and what to do, in one line; `fraud` prints them without a traceback."""


class OperationsError(Exception):
    """Something that was to be expected went wrong; its text is the whole message."""


def in_words(error: OSError) -> str:
    """What the operating system refused, and on which file where it says so."""
    reason = error.strerror or str(error) or type(error).__name__
    return reason if error.filename is None else f"{error.filename}: {reason}"
