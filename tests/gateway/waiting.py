"""Patience."""

from collections.abc import Callable


def until(condition: Callable[[], bool], attempts: int = 100_000) -> None:
    """Asks again until the condition holds; every asking lets the app run."""
    for _ in range(attempts):
        if condition():
            return
    raise AssertionError("the condition never held")
