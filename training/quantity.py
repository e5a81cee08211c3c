"""Counts in messages."""


def quantity(number: int, noun: str) -> str:
    """The number and what it counts, in the plural unless it is one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
