"""Deletes versions that TorchServe has and nobody wants, once no request can be on them.

Unregistering kills with -9. A gateway follows the release record in 0.5 s and answers each request within its deadline,
so a version that has been unwanted for longer than both scores nothing any more.
"""

from collections.abc import Iterable

from operations.rollout.deployment import DeploymentTarget, release_lock
from operations.rollout.version_loader import Clock
from operations.store.release_record import read_record
from releases.record import Release


class VersionGarbageCollector:
    """The versions that are seen unwanted, and since when."""

    def __init__(self, target: DeploymentTarget, clock: Clock) -> None:
        """Has seen none."""
        self._target = target
        self._clock = clock
        self._since: dict[int, float] = {}

    def observe(self, record: Release, registered: Iterable[int]) -> None:
        """Takes what one look saw."""
        now = self._clock()
        self._since = {
            version: self._since.get(version, now) for version in set(registered) - set(record.required_versions)
        }

    def reset(self) -> None:
        """Begins to count anew: for a moment it was not known what is wanted."""
        self._since = {}

    def collect(self, record: Release) -> None:
        """Deletes those that are due.

        Raises:
            LockHeld: a release runs; it registers a version before the record wants it.
            OperationsError: one cannot be deleted.
        """
        now = self._clock()
        due = sorted(version for version, since in self._since.items() if now - since >= self._target.drain)
        if not due:
            return
        with release_lock(self._target):
            if read_record(self._target.store) != record:
                return
            for version in due:
                self._target.server.delete(version)
