"""How far a load is, as Redis knows it: written by the script that does a step, in the same moment."""

import hashlib
from dataclasses import dataclass, replace
from typing import Self

from history.keyed_hash import HistoryKey
from history.plan import Plan

PREFIX = b"fraud:load:"
CUT = b"1"
"""Part of the key: a load whose steps are cut in another way must not go on where this one ended."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a load stands.

    Attributes:
        horizon: the time from which on transactions enter by their ids: as the first run had it, for it decides the
            steps of all that follow.
        step: the next one.
        steps: how many there are.
    """

    key: bytes
    horizon: float
    step: int
    steps: int

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.step >= self.steps

    def after(self) -> Self:
        """One step on."""
        return replace(self, step=self.step + 1)

    def to_bytes(self) -> bytes:
        """What the key holds."""
        return f"{self.horizon!r} {self.step} {self.steps}".encode()

    @classmethod
    def from_bytes(cls, key: bytes, text: bytes) -> Self:
        """Reads what :meth:`to_bytes` wrote.

        Raises:
            ValueError: it did not.
        """
        horizon, step, steps = text.split()
        return cls(key, float(horizon), int(step), int(steps))


def key_of(sha256: str, plan: Plan, key: HistoryKey) -> bytes:
    """The key of a file, by its SHA-256 in hexadecimal, that is loaded into the states of a plan.

    Keyed as ids are: of a file of one row, a hash without a key would tell the row to who can guess it.
    """
    states = b"".join(layout.digest for layout in plan.layouts)
    return PREFIX + key.keyed(hashlib.sha256(CUT + bytes.fromhex(sha256) + states).digest()).hex().encode()
