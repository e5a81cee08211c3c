"""Errors for people: what happened and what to do, in one line; `fraud` prints them without a traceback."""

import traceback
from pathlib import Path


class OperationsError(Exception):
    """Something that was to be expected went wrong; its text is the whole message."""


def describe_defect(error: BaseException) -> str:
    """One line for an unexpected error: its class and place, and no value of what it was about."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"a defect, please report it: {type(error).__name__} in {Path(where.filename).name}:{where.lineno}"


def in_words(error: OSError) -> str:
    """What the operating system refused, and on which file where it says so."""
    reason = error.strerror or str(error) or type(error).__name__
    return reason if error.filename is None else f"{error.filename}: {reason}"
