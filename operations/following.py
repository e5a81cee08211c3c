"""Whether the gateway follows the release record: it looks twice a second, and says on /health what it serves."""

import time

import httpx

PATIENCE = 10.0
"""Seconds; a gateway that can reach the model server follows in one."""


def followed(gateway_url: str, version: int, patience: float = PATIENCE) -> bool:
    """Waits until the gateway serves a version; False when it does not in time."""
    until = time.monotonic() + patience
    with httpx.Client(base_url=gateway_url, trust_env=False, timeout=2.0) as client:
        while _serves(client) != version:
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
    return True


def _serves(client: httpx.Client) -> object:
    try:
        return client.get("/health").json()["components"]["model"]["version"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None
