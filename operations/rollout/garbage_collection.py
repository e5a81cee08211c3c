"""Deletes versions that TorchServe has and the release record does not require, once no request can be on them.

Unregistering kills the workers with SIGKILL. A gateway follows the release record in 0.5 s and answers each request
within its deadline, so a version that has not been required for longer than both scores nothing any more.
"""

from collections.abc import Iterable

from operations.rollout.deployment import DeploymentTarget, release_lock
from operations.rollout.version_loader import Clock
from operations.store.release_record import read_record
from releases.record import Release


class VersionGarbageCollector:
    """The registered versions that the record does not require, and since when."""

    def __init__(self, target: DeploymentTarget, clock: Clock) -> None:
        """Starts with none."""
        self._target = target
        self._clock = clock
        self._since: dict[int, float] = {}

    def observe(self, record: Release, registered: Iterable[int]) -> None:
        """Notes which registered versions the record does not require now."""
        now = self._clock()
        self._since = {
            version: self._since.get(version, now) for version in set(registered) - set(record.required_versions)
        }

    def reset(self) -> None:
        """Starts all times anew, since it was not known for a moment what is required."""
        self._since = {}

    def collect(self, record: Release) -> None:
        """Deletes those that have not been required for the target's drain time.

        Raises:
            LockHeld: a release runs; it registers a version before the record requires it.
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
