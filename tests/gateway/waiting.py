"""Waiting for conditions."""

import time
from collections.abc import Callable

from tests.timeouts import WAIT_SECONDS


def until(condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Asks again until the condition holds; every asking lets the app run."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never held"
