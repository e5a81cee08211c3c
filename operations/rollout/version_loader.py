"""Keeps one version loaded in one TorchServe: checks its workers, and loads it again where they do not come back.

A load holds the release lock, as a release does. A version with a ready worker is never deleted, unless this load has
shown that it does not score as in its training.
"""

import contextlib
from collections.abc import Callable
from enum import Enum

from operations.errors import OperationsError
from operations.files.durable import LockHeld
from operations.rollout.deployment import DeploymentTarget, Say, release_lock
from operations.rollout.registration import NotProven, load, prove
from operations.store import journal
from operations.store.archive_check import RefusedArchive
from operations.store.registry import DamagedArchive, UnknownVersion
from operations.store.release_record import read_record
from operations.store.signing import UnsignedArchive
from operations.torchserve.client import RegisteredVersion, TorchServeRefused, TorchServeUnreachable
from releases.record import Release

UNREADY_TIMEOUT = 20.0
"""Seconds without one ready worker after which a version is registered afresh; TorchServe restarts a worker in 5 or 6,
but waits ever longer after each of its failures, up to minutes."""
LONGEST_BACKOFF = 30.0
FAILURES_UNTIL_UNLOADABLE = 2
"""Failures in a row after which a version counts as one that cannot be loaded: the first may be the machine's."""
PERMANENT_ERRORS = (DamagedArchive, RefusedArchive, UnknownVersion, UnsignedArchive)
"""Errors that another attempt does not repair: one is enough."""

Clock = Callable[[], float]


class ReconcileResult(Enum):
    """How the live version is at the end of one reconciliation."""

    NOTHING_RELEASED = "nothing released"
    SERVER_DOWN = "the model server does not answer"
    HEALTHY = "whole"
    STARTING = "workers are starting"
    RELEASING = "a release is running"
    MISSING = "not loaded"
    LOADED = "loaded"
    FAILED = "could not be loaded"
    TOOK_OVER = "another version took over"


class Backoff:
    """Exponential backoff: after each failure the next attempt waits longer, up to LONGEST_BACKOFF."""

    def __init__(self, clock: Clock) -> None:
        """Begins without a wait."""
        self._clock = clock
        self._seconds = 0.0
        self._until = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it is time to try again."""
        return self._seconds == 0 or self._clock() >= self._until

    def increase(self) -> None:
        """After a failure: 1 s, 3 s, 7 s and so on."""
        self._seconds = min(2 * self._seconds + 1, LONGEST_BACKOFF)
        self._until = self._clock() + self._seconds

    def reset(self) -> None:
        """After a success."""
        self._seconds = 0.0


class Deduplicator:
    """Passes a message on unless it is the same as the one before."""

    def __init__(self, say: Say) -> None:
        """Takes where messages go."""
        self._say = say
        self._last = ""

    def __call__(self, text: str) -> bool:
        """Passes the message on if it is new; returns whether it was."""
        is_new = text != self._last
        self._last = text
        if is_new:
            self._say(text)
        return is_new

    def reset(self) -> None:
        """Forgets the last message: it is passed on when it comes again."""
        self._last = ""


class VersionLoader:
    """Keeps one version loaded.

    Attributes:
        last_error: the message of the last failed load; empty after a success.
    """

    def __init__(self, target: DeploymentTarget, version: int, say: Say, clock: Clock) -> None:
        """Takes the version of the store, where messages go, and a clock in seconds."""
        self.version = version
        self.last_error = ""
        self._target = target
        self._say = say
        self._clock = clock
        self._messages = Deduplicator(say)
        self._backoff = Backoff(clock)
        self._failures = 0
        self._unready_since: float | None = None
        self._was_loaded = False

    @property
    def is_unloadable(self) -> bool:
        """Whether another version must take over: the archive is damaged, or it was refused or not proven twice."""
        return self._failures >= FAILURES_UNTIL_UNLOADABLE

    def check(self, registered: RegisteredVersion | None) -> ReconcileResult:
        """HEALTHY, STARTING, MISSING where it must be loaded now, or FAILED where the backoff is not over."""
        if registered and registered.ready:
            self._scale_up(registered)
            self._record_success()
            return ReconcileResult.HEALTHY
        if registered and self._may_recover(registered):
            return ReconcileResult.STARTING
        return ReconcileResult.MISSING if self._backoff.is_over else ReconcileResult.FAILED

    def reset_readiness(self) -> None:
        """Starts the time without a ready worker anew, since the server has ended."""
        self._unready_since = None

    def load(self, record: Release) -> ReconcileResult:
        """Loads and proves it, unless the record or the server has changed since they were read.

        Raises:
            LockHeld: a release runs.
            TorchServeUnreachable: the server ended; that is no failure of the version.
        """
        try:
            with release_lock(self._target):
                return ReconcileResult.RELEASING if self._is_outdated(record) else self._load()
        except (LockHeld, TorchServeUnreachable):
            raise
        except OperationsError as error:
            return self._record_failure(error)

    def _scale_up(self, registered: RegisteredVersion) -> None:
        """Orders the missing workers: a process that started them one by one may have ended before the last."""
        if self._target.workers and registered.target_workers < self._target.workers:
            self._target.server.scale(self.version, self._target.workers)

    def _may_recover(self, registered: RegisteredVersion) -> bool:
        """Whether TorchServe itself may still bring a worker back."""
        now = self._clock()
        self._unready_since = now if self._unready_since is None else self._unready_since
        return registered.workers > 0 and now - self._unready_since < UNREADY_TIMEOUT

    def _is_outdated(self, record: Release) -> bool:
        """Whether a release has changed the record, or loaded the version, since they were read."""
        return read_record(self._target.store) != record or self._target.server.is_ready(self.version)

    def _load(self) -> ReconcileResult:
        began = self._clock()
        try:
            load(self._target, self.version, lambda _: None)
        except OperationsError:
            with contextlib.suppress(OperationsError):
                if not self._target.server.is_ready(self.version):
                    self._target.server.delete(self.version)
            raise
        self._prove()
        if self._was_loaded:  # The first load is a start and no repair.
            self._say(f"version {self.version} was loaded again in {self._clock() - began:.1f} s")
        self._record_success()
        return ReconcileResult.LOADED

    def _prove(self) -> None:
        """Checks its golden rows; a version that fails is deleted again."""
        try:
            prove(self._target, self._target.registry.entry(self.version))
        except TorchServeUnreachable:
            raise
        except OperationsError as error:
            with contextlib.suppress(OperationsError):
                self._target.server.delete(self.version)
            raise NotProven(str(error)) from None

    def _record_success(self) -> None:
        self._unready_since, self._failures, self._was_loaded, self.last_error = None, 0, True, ""
        self._backoff.reset()
        self._messages.reset()

    def _record_failure(self, error: OperationsError) -> ReconcileResult:
        if isinstance(error, PERMANENT_ERRORS):
            self._failures = FAILURES_UNTIL_UNLOADABLE
        elif isinstance(error, NotProven | TorchServeRefused):
            self._failures += 1
        self._backoff.increase()
        self.last_error = str(error)
        if self._messages(f"version {self.version} cannot be loaded: {error}"):
            journal.note(self._target.store, "not_loadable", version=self.version, why=str(error))
        return ReconcileResult.FAILED
