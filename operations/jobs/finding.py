"""The findings of `fraud check`: one line for each thing that is checked."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

RETRY_SECONDS = 10.0
"""Seconds in which a gateway follows a release, and TorchServe starts a worker again that ended."""
RETRY_INTERVAL = 0.5


class CheckState(StrEnum):
    """How a thing is; the value is what its line begins with."""

    GOOD = "ok"
    FAULT = "FAULT"
    UNKNOWN = "not looked at:"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, or why it was not."""

    state: CheckState
    text: str

    def __str__(self) -> str:
        """Its line."""
        return f"{self.state} {self.text}"


def good(text: str) -> Finding:
    """All is well with it."""
    return Finding(CheckState.GOOD, text)


def fault(text: str) -> Finding:
    """A person must look at it."""
    return Finding(CheckState.FAULT, text)


def unknown(text: str) -> Finding:
    """It was not looked at, since it is not configured here or does not exist yet."""
    return Finding(CheckState.UNKNOWN, text)


def retry_fault(check: Callable[[], Finding], retry_seconds: float = RETRY_SECONDS) -> Finding:
    """Repeats a check while it finds a fault, for at most `retry_seconds`."""
    until = time.monotonic() + retry_seconds
    while (finding := check()).state is CheckState.FAULT and time.monotonic() < until:
        time.sleep(RETRY_INTERVAL)
    return finding
