"""Whether the gateway follows the release record: it looks twice a second, and says on /health what it serves."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

from contract.release import Trial

T = TypeVar("T")
PATIENCE = 10.0
"""Seconds; a gateway that can reach the model server follows in one."""


def followed(gateway_url: str, version: int, patience: float = PATIENCE) -> bool:
    """Waits until the gateway serves a version; False when it does not in time."""
    return _comes_about(gateway_url, lambda parts: parts["model"]["version"] == version, patience)


def tried(gateway_url: str, trial: Trial, patience: float = PATIENCE) -> bool:
    """Waits until the gateway runs a trial, by its present share too; False when it does not in time."""
    running = {"version": trial.version, "kind": trial.kind, "share": trial.share, "status": "running"}
    return _comes_about(gateway_url, lambda parts: running.items() <= parts["trial"].items(), patience)


def paused(gateway_url: str) -> str | None:
    """Why the gateway sends nothing to the version on trial, in snake case; None where it does, or does not answer."""
    with _connected(gateway_url) as client:
        trial = _asked(client, lambda parts: parts["trial"])
    return str(trial["reason"]) if trial and trial["status"] == "paused" else None


def _comes_about(gateway_url: str, wanted: Callable[[Any], bool], patience: float) -> bool:
    until = time.monotonic() + patience
    with _connected(gateway_url) as client:
        while not _asked(client, wanted):
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
    return True


def _connected(gateway_url: str) -> httpx.Client:
    return httpx.Client(base_url=gateway_url, trust_env=False, timeout=2.0)


def _asked(client: httpx.Client, question: Callable[[Any], T]) -> T | None:
    """What the parts of /health say; None where the gateway does not answer so."""
    try:
        return question(client.get("/health").json()["components"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return None
