"""What could be a card number: a text that a person chose, and that is to be written down, must not hold one."""

import re

DIGITS = 12
"""As many as the shortest card number has."""
LONG_NUMBER = re.compile(rf"\d(?:[\W_]*\d){{{DIGITS - 1}}}")
"""So many digits, whatever stands between them that is no letter."""


def holds_long_number(text: str) -> bool:
    """Whether there could be a card number in it."""
    return LONG_NUMBER.search(text) is not None
