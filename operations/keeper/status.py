"""The state of the model servers, for the keeper's pages: written on the event loop, read by other threads."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from operations.errors import OperationsError
from operations.rollout.version_loader import ReconcileResult
from operations.store.release_record import read_record
from releases.record import Release

HEALTHY = frozenset({ReconcileResult.HEALTHY, ReconcileResult.LOADED})
MAX_LOOP_STALL = 30.0
"""Seconds; the event loop records a heartbeat each second."""
MAX_POLL_SECONDS = 900.0
"""Seconds after which a poll counts as hung; one that trains a model and then loads it takes minutes."""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """The last poll of one server.

    Attributes:
        result: None before the first poll has ended.
        polled_at: when it ended, in seconds since 1970; 0 before the first.
        polled_monotonic: the same moment on the monotonic clock; before the first poll, when the server was added.
    """

    result: ReconcileResult | None = None
    polled_at: float = 0.0
    polled_monotonic: float = field(default_factory=time.monotonic)


class KeeperStatus:
    """The state of this keeper and its servers.

    Attributes:
        blocked_reason: why this keeper does not reconcile yet; None once it does.
        resolve_error: why no address of a server is known.
    """

    def __init__(self, store: Path) -> None:
        """Takes the model store."""
        self.blocked_reason: str | None = None
        self.resolve_error = "no model server is known yet"
        self._store = store
        self._heartbeat = time.monotonic()
        self._servers: dict[str, ServerStatus] = {}

    def record_heartbeat(self) -> None:
        """Notes that the event loop is running."""
        self._heartbeat = time.monotonic()

    def add_server(self, address: str) -> None:
        """Begins the status of a server."""
        self._servers[address] = ServerStatus()

    def update_server(self, address: str, result: ReconcileResult) -> None:
        """Sets the result of the last poll; ignores a server that was removed meanwhile."""
        if address in self._servers:
            self._servers[address] = ServerStatus(result, time.time())

    def remove_server(self, address: str) -> None:
        """Drops the status of a server whose address is gone."""
        self._servers.pop(address, None)

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
        return len(self._servers)

    @property
    def ready_servers(self) -> int:
        """On how many of them the live version scores."""
        return sum(server.result in HEALTHY for server in self._servers.copy().values())

    @property
    def oldest_poll(self) -> float:
        """The earliest last poll of all servers, in seconds since 1970; 0 without any server."""
        return min((server.polled_at for server in self._servers.copy().values()), default=0.0)

    def stall_reason(self) -> str | None:
        """Why this process must be restarted; None while it polls."""
        now = time.monotonic()
        if now - self._heartbeat > MAX_LOOP_STALL:
            return f"the loop has stood still for {now - self._heartbeat:.0f} s"
        for address, server in self._servers.copy().items():
            if now - server.polled_monotonic > MAX_POLL_SECONDS:
                return f"one look at {address} has taken {now - server.polled_monotonic:.0f} s"
        return None

    def unready_reason(self) -> str | None:
        """Why the live version is not loaded everywhere; None where it is."""
        try:
            record = read_record(self._store)
        except OperationsError as error:
            return str(error)
        if self.blocked_reason or record is None:
            return self.blocked_reason or "nothing is released yet"
        servers = self._servers.copy()
        for address, server in servers.items():
            if server.result not in HEALTHY:
                why = server.result.value if server.result else "not looked at yet"
                return f"version {record.version} at {address}: {why}"
        return None if servers else self.resolve_error
