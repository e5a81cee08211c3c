"""What `fraud check` finds: a line for each thing that it looks at."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

PATIENCE = 10.0
"""Seconds in which a gateway follows a release, and TorchServe starts a worker again that ended."""
ASK_EVERY = 0.5


class State(StrEnum):
    """How a thing is; the value is what its line begins with."""

    GOOD = "ok"
    FAULT = "FAULT"
    UNKNOWN = "not looked at:"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, or why it was not."""

    state: State
    text: str

    def __str__(self) -> str:
        """Its line."""
        return f"{self.state} {self.text}"


def good(text: str) -> Finding:
    """All is well with it."""
    return Finding(State.GOOD, text)


def fault(text: str) -> Finding:
    """A person must look at it."""
    return Finding(State.FAULT, text)


def unknown(text: str) -> Finding:
    """It was not looked at, since it is not configured here or does not exist yet."""
    return Finding(State.UNKNOWN, text)


def lasting(look: Callable[[], Finding], patience: float = PATIENCE) -> Finding:
    """Looks again while it finds a fault: one that is mended in so many seconds is none."""
    until = time.monotonic() + patience
    while (found := look()).state is State.FAULT and time.monotonic() < until:
        time.sleep(ASK_EVERY)
    return found
