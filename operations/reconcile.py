"""Keeps TorchServe as the release record says, whatever happened to it: looks at what is, not at what changed.

TorchServe forgets every version when it ends and loads none when it starts; a worker that cannot be started again
leaves a version registered that scores nothing. Each look compares the recorded version with what is registered and
mends the difference. The record itself is only read here: no failure ever makes another version live. What mends holds
the release lock, as a release does, and a version with a ready worker is never deleted.
"""

import time
from collections.abc import Callable
from enum import Enum

from operations.durable import Busy
from operations.errors import OperationsError
from operations.release import Place, alone, load, recorded
from operations.torchserve import ModelServerDown, Registered

UNREADY_TOO_LONG = 20.0
"""Seconds without one ready worker after which a version is registered afresh; TorchServe restarts a worker in 5 or 6,
but waits ever longer after each of its failures, up to minutes."""
LONGEST_PAUSE = 30.0


class Found(Enum):
    """What one look found, after it was mended where it could be."""

    NOTHING_RELEASED = "nothing released"
    SERVER_DOWN = "the model server does not answer"
    WHOLE = "whole"
    STARTING = "workers are starting"
    RELEASING = "a release is running"
    LOADED = "loaded"
    FAILED = "could not be loaded"


class Reconciler:
    """Looks at one TorchServe, again and again."""

    def __init__(
        self, place: Place, report: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Takes what to keep whole and whom to tell."""
        self._place = place
        self._report = report
        self._clock = clock
        self._unready_since: float | None = None
        self._pause = 0.0
        self._not_before = 0.0
        self._told = ""
        self._was_whole = False

    def look(self) -> Found:
        """Compares and mends once; never raises for what is to be expected."""
        try:
            record = recorded(self._place.registry.root)
            if record is None:
                return Found.NOTHING_RELEASED
            return self._mend(record.version)
        except ModelServerDown:
            self._unready_since = None
            return Found.SERVER_DOWN
        except Busy:
            return Found.RELEASING
        except OperationsError as error:
            return self._failed(error)

    def _mend(self, version: int) -> Found:
        there = self._place.server.registered().get(version)
        if there and there.ready:
            self._unready_since, self._was_whole = None, True
            return Found.WHOLE
        if there and self._may_recover(there):
            return Found.STARTING
        if self._clock() < self._not_before:
            return Found.FAILED
        with alone(self._place):
            return Found.RELEASING if self._is_outdated(version) else self._load(version)

    def _is_outdated(self, version: int) -> bool:
        """Whether a release that ended a moment ago has changed what this look saw."""
        record = recorded(self._place.registry.root)
        return record is None or record.version != version or self._scores(version)

    def _scores(self, version: int) -> bool:
        there = self._place.server.registered().get(version)
        return there is not None and there.ready > 0

    def _may_recover(self, there: Registered) -> bool:
        """Whether TorchServe itself may still bring a worker back."""
        now = self._clock()
        self._unready_since = now if self._unready_since is None else self._unready_since
        return there.workers > 0 and now - self._unready_since < UNREADY_TOO_LONG

    def _load(self, version: int) -> Found:
        began = self._clock()
        try:
            load(self._place, version, lambda _: None)
        except OperationsError:
            if not self._scores(version):
                self._place.server.delete(version)
            raise
        if self._was_whole:  # The first load is an ordinary start, no repair to speak of.
            self._report(f"version {version} was loaded again in {self._clock() - began:.1f} s")
        self._unready_since, self._pause, self._told, self._was_whole = None, 0.0, "", True
        return Found.LOADED

    def _failed(self, error: OperationsError) -> Found:
        """Reading a damaged archive each second would help nobody: waits longer after each failure."""
        self._pause = min(2 * self._pause + 1, LONGEST_PAUSE)
        self._not_before = self._clock() + self._pause
        if str(error) != self._told:
            self._told = str(error)
            self._report(f"the live version cannot be loaded: {error}")
        return Found.FAILED
