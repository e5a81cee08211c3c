"""Whether the gateways follow the release record: each reads it twice a second, and says on /health what it serves.

The name in their URL may stand for several addresses; each is asked by its own.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from environment.bounded_transport import BoundedTransport
from operations.network import addresses
from operations.network.addresses import Resolve, UnresolvedName, resolve_host
from releases.record import Trial

T = TypeVar("T")
FOLLOW_TIMEOUT = 10.0
"""Seconds; a gateway that can reach the model server follows in one."""


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """What a gateway says of itself on /health.

    Attributes:
        version: the one that it serves; None where it serves none, or does not answer.
        paused: why it sends nothing to the version on trial, in snake case; None where it does.
    """

    version: int | None = None
    paused: str | None = None


def gateways_behind(
    gateway_url: str, version: int, timeout: float = FOLLOW_TIMEOUT, resolve: Resolve = resolve_host
) -> list[str]:
    """Waits until every gateway serves a version; the addresses of those that do not in time."""
    return _lagging(gateway_url, lambda parts: parts["model"]["version"] == version, timeout, resolve)


def gateways_not_running(
    gateway_url: str, trial: Trial, timeout: float = FOLLOW_TIMEOUT, resolve: Resolve = resolve_host
) -> list[str]:
    """Waits until every gateway runs a trial, by its present share too; the addresses of those that do not in time."""
    running = {"version": trial.version, "kind": trial.kind, "share": trial.share, "status": "running"}
    return _lagging(gateway_url, lambda parts: running.items() <= parts["trial"].items(), timeout, resolve)


def gateway_statuses(gateway_url: str, resolve: Resolve = resolve_host) -> dict[str, GatewayStatus]:
    """The status of each gateway, by address."""
    with _client() as client:
        return {at: _query(client, at, _status_of) or GatewayStatus() for at in _gateway_urls(gateway_url, resolve)}


def _status_of(parts: Any) -> GatewayStatus:  # noqa: ANN401 - what a gateway says, not looked at yet
    trial = parts["trial"]
    paused = str(trial["reason"]) if trial and trial["status"] == "paused" else None
    return GatewayStatus(parts["model"]["version"], paused)


def _lagging(url: str, predicate: Callable[[Any], bool], timeout: float, resolve: Resolve) -> list[str]:
    until = time.monotonic() + timeout
    with _client() as client:
        remaining = _gateway_urls(url, resolve)
        while remaining := [at for at in remaining if not _query(client, at, predicate)]:
            if time.monotonic() > until:
                break
            time.sleep(0.1)
    return remaining


def _gateway_urls(url: str, resolve: Resolve) -> list[str]:
    """A name that cannot be resolved is asked as it is, and counts as a gateway that does not answer."""
    with contextlib.suppress(UnresolvedName):
        return addresses.resolve_url(url.rstrip("/"), resolve)
    return [url.rstrip("/")]


def _client() -> httpx.Client:
    return httpx.Client(transport=BoundedTransport(), trust_env=False, timeout=2.0)


def _query(client: httpx.Client, gateway: str, question: Callable[[Any], T]) -> T | None:
    """What the parts of /health say; None where the gateway does not answer so."""
    try:
        return question(client.get(f"{gateway}/health").json()["components"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return None
