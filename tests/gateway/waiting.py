"""Patience."""

import time
from collections.abc import Callable

from tests.patience import PATIENCE


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Asks again until the condition holds; every asking lets the app run."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never held"
