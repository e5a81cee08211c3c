"""What the rounds of a keeper have seen, for its pages: written on the loop, read on other threads."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from operations.errors import OperationsError
from operations.rollout.version_loader import ReconcileResult
from operations.store.release_record import read_record
from releases.record import Release

WHOLE = frozenset({ReconcileResult.HEALTHY, ReconcileResult.LOADED})
LONGEST_STANDSTILL = 30.0
"""Seconds; the loop beats once in one."""
LONGEST_LOOK = 900.0
"""Seconds after which a look is taken for stuck; one that trains a model and then loads it takes minutes."""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """The last look at one server.

    Attributes:
        found: None before the first one has ended.
        at: when it ended, in seconds since 1970; 0 before the first.
        ended: likewise, by a clock that only goes forward; before the first, when the rounds began.
    """

    found: ReconcileResult | None = None
    at: float = 0.0
    ended: float = field(default_factory=time.monotonic)


class KeeperStatus:
    """The present state.

    Attributes:
        waiting: why this keeper does nothing yet; None once it does.
        unresolved: why no server is known, as far as that is known.
    """

    def __init__(self, store: Path) -> None:
        """Takes the model store."""
        self.waiting: str | None = None
        self.unresolved = "no model server is known yet"
        self._store = store
        self._beat = time.monotonic()
        self._looks: dict[str, ServerStatus] = {}

    def beat(self) -> None:
        """The loop turns."""
        self._beat = time.monotonic()

    def begin(self, address: str) -> None:
        """A server is there."""
        self._looks[address] = ServerStatus()

    def see(self, address: str, found: ReconcileResult) -> None:
        """Takes what a look at a server found; one that has gone meanwhile is left out."""
        if address in self._looks:
            self._looks[address] = ServerStatus(found, time.time())

    def forget(self, address: str) -> None:
        """A server has gone."""
        self._looks.pop(address, None)

    @property
    def record(self) -> Release | None:
        """The release record; None where there is none, or it cannot be read."""
        try:
            return read_record(self._store)
        except OperationsError:
            return None

    @property
    def servers(self) -> int:
        """How many there are."""
        return len(self._looks)

    @property
    def whole(self) -> int:
        """On how many of them the live version scores."""
        return sum(look.found in WHOLE for look in self._looks.copy().values())

    @property
    def last_look(self) -> float:
        """When the server was looked at that was looked at longest ago, in seconds since 1970; 0 without any."""
        return min((look.at for look in self._looks.copy().values()), default=0.0)

    def stuck(self) -> str | None:
        """Why this process must be started again; None where its rounds turn."""
        now = time.monotonic()
        if now - self._beat > LONGEST_STANDSTILL:
            return f"the loop has stood still for {now - self._beat:.0f} s"
        for address, look in self._looks.copy().items():
            if now - look.ended > LONGEST_LOOK:
                return f"one look at {address} has taken {now - look.ended:.0f} s"
        return None

    def lack(self) -> str | None:
        """Why the live version is not loaded everywhere; None where it is."""
        try:
            record = read_record(self._store)
        except OperationsError as error:
            return str(error)
        if self.waiting or record is None:
            return self.waiting or "nothing is released yet"
        looks = self._looks.copy()
        for address, look in looks.items():
            if look.found not in WHOLE:
                why = look.found.value if look.found else "not looked at yet"
                return f"version {record.version} at {address}: {why}"
        return None if looks else self.unresolved
