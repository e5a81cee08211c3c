"""`python -m gateway.healthy`: whether the gateway of this container is ready, as an exit status of 0 or 1.

An image has no curl; this needs the standard library alone, and starts in a twentieth of a second.
"""

import http.client
import os
import sys
from collections.abc import Mapping
from contextlib import closing

TIMEOUT_SECONDS = 3.0
"""For each step of the answer; the gateway's own probe takes 2 s at most."""
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
"""How a server that listens everywhere is reached from where it runs."""


def ready(environ: Mapping[str, str]) -> bool:
    """Whether the gateway that this environment describes answers that it is ready."""
    host = environ.get("HOST") or "127.0.0.1"
    try:
        port = int(environ.get("PORT") or 8000)
        with closing(http.client.HTTPConnection(LOOPBACK.get(host, host), port, timeout=TIMEOUT_SECONDS)) as connection:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
    except (OSError, ValueError, http.client.HTTPException):
        return False


if __name__ == "__main__":
    sys.exit(0 if ready(os.environ) else 1)
