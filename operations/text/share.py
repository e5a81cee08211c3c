"""A share of the traffic as people write it."""

from operations.errors import OperationsError

LEAST = 1e-4
"""Less is a mistake: of a million transactions a day it would be under a hundred."""


def parse(text: str) -> float:
    """5% or 0.05 as 0.05.

    Raises:
        OperationsError: it is no share, from LEAST to all.
    """
    number, percent = text.removesuffix("%"), text.endswith("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = 0.0
    if not LEAST <= share <= 1:
        raise OperationsError(f"{text} is no share of the traffic; write one like 5% or 0.05")
    return share
