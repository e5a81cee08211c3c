"""Recognises what could be a card number: no name that a caller chose and that is logged or stored may hold one."""

import re

DIGITS = 12
"""Of the shortest card number."""
LONG_NUMBER = re.compile(rf"\d(?:[\W_]*\d){{{DIGITS - 1}}}")
"""DIGITS digits, with anything between them but letters."""


def holds_long_number(text: str) -> bool:
    """Whether there could be a card number in it."""
    return LONG_NUMBER.search(text) is not None
