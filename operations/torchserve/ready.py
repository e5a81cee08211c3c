"""`python -m operations.torchserve.ready`: whether this TorchServe can score, for the health check of its container.

TorchServe's `/ping` is healthy without a model, without a worker, and with a frozen one. Ready is a server on which the
live version of the release record describes itself, which takes one of its workers. Where no version is live yet, one
that answers is ready: it waits for its first version.

Docker restarts a container that ends, and not one that hangs. So this check also kills a JVM that has not answered for
a minute: its container ends with it and is started again. It cannot where the JVM itself is process 1: start such a
container with an init. Kubernetes has liveness probes for that.

It runs every few seconds and so imports the standard library alone.
"""

import contextlib
import http.client
import json
import os
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

WORKER_TIMEOUT, JVM_TIMEOUT = 4.5, 2.0
"""Seconds: the first request may queue behind uploads, the second does not. The image allows 8 for both."""
DESCRIBE = b"DESCRIBE"
"""As in contract/frame.py; a test compares them."""
RECORD = "release.json"
"""As in releases/record.py; a test compares them."""
HOME_DIRECTORY = "fraud-torchserve"
"""The directory among the temporary files that everything of a container's TorchServe lies in."""
UNRESPONSIVE_SECONDS = 60.0
"""Seconds; a JVM that starts answers in 3 to 5, and TorchServe answers a ping while it loads a version."""
PID_FILE, ADDRESS_FILE, UNRESPONSIVE_FILE = "torchserve.pid", "torchserve.address", "torchserve.silent"
"""The names of three files: whoever starts TorchServe writes the first two, this check the third."""
OK = 200
MOST_BYTES = 1 << 20
"""Of an answer, which may be a false server's."""


def check(store: Path, scratch: Path, now: float) -> bool:
    """Whether the server is ready; one that has not answered at all for UNRESPONSIVE_SECONDS is killed.

    Args:
        store: the model store.
        scratch: where the three files lie.
        now: seconds of the epoch.
    """
    try:
        address = (scratch / ADDRESS_FILE).read_text()
    except OSError:
        return False
    answer = _describe_live(store, address)
    if answer is None and _ping(address) is None:
        _kill_if_unresponsive(scratch, now)
    else:
        (scratch / UNRESPONSIVE_FILE).unlink(missing_ok=True)
    return answer == OK


def _describe_live(store: Path, address: str) -> int | None:
    """The status of the recorded version's own description, or of a ping where none is recorded."""
    live = _live_version(store / RECORD)
    if live is None:
        return _ping(address)
    return _status(f"{address}/predictions/fraud/{live}", WORKER_TIMEOUT, DESCRIBE)


def _ping(address: str) -> int | None:
    return _status(f"{address}/ping", JVM_TIMEOUT)


def _live_version(record: Path) -> int | None:
    try:
        return int(json.loads(record.read_bytes())["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _kill_if_unresponsive(scratch: Path, now: float) -> None:
    """Notes the time of the first check without an answer, and kills the JVM UNRESPONSIVE_SECONDS later."""
    unresponsive = scratch / UNRESPONSIVE_FILE
    try:
        since = float(unresponsive.read_text())
    except (OSError, ValueError):
        unresponsive.write_text(str(now))
        return
    if now - since > UNRESPONSIVE_SECONDS:
        unresponsive.unlink(missing_ok=True)
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((scratch / PID_FILE).read_text()), signal.SIGKILL)


def _status(url: str, timeout: float, body: bytes | None = None) -> int | None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, body, {"Content-Type": "application/octet-stream"})  # noqa: S310 - http
    try:
        with direct.open(request, timeout=timeout) as answer:
            answer.read(MOST_BYTES)  # TorchServe logs a page for each connection that is closed unread.
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            error.read(MOST_BYTES)
        return error.code
    except (OSError, http.client.HTTPException):
        return None


if __name__ == "__main__":
    models = Path(os.environ.get("MODEL_PATH") or "model_store")
    sys.exit(0 if check(models, Path(tempfile.gettempdir()) / HOME_DIRECTORY, time.time()) else 1)
