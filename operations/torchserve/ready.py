"""`python -m operations.torchserve.ready`: whether this TorchServe can score, for the health check of its container.

TorchServe's `/ping` is healthy without a model, without a worker, and with a frozen one. Ready is a server on which the
live version of the release record describes itself, which takes one of its workers. Where no version is live yet, one
that answers is ready: it waits for its first version.

Docker restarts what ends, and not what hangs. So this check also ends a JVM that has been silent for a minute: its
container ends with it and is started again. Kubernetes has liveness probes for that.

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
import urllib.request
from collections.abc import Mapping
from pathlib import Path

PATIENCE = 5.0
DESCRIBE = b"DESCRIBE"
"""As in contract/frame.py; a test compares them."""
INFERENCE_PORT = 8080
FROZEN = 60.0
"""Seconds; a JVM that starts answers in 3 to 5, and TorchServe answers a ping while it loads a version."""
PROCESS, SILENT = "torchserve.pid", "torchserve.silent"
"""The names of the two files; the first is written when TorchServe is started."""
RECORD = "release.json"
"""As in contract/release.py; a test compares them."""


def check(outside: Mapping[str, str], scratch: Path, port: int = INFERENCE_PORT, now: float | None = None) -> bool:
    """Whether the server is ready; one that has not even said that it is not for FROZEN seconds is killed.

    Args:
        outside: the container's environment.
        scratch: where the process number of the JVM lies, and since when it has been silent.
        port: of inference.
        now: seconds of the epoch.
    """
    silent = scratch / SILENT
    if ready(outside, port):
        silent.unlink(missing_ok=True)
        return True
    if _answers(f"{_base(outside, port)}/ping", None):
        silent.unlink(missing_ok=True)
    elif _silent_for(silent, time.time() if now is None else now) > FROZEN:
        _kill(scratch / PROCESS)
        silent.unlink(missing_ok=True)
    return False


def ready(outside: Mapping[str, str], port: int = INFERENCE_PORT) -> bool:
    """Whether the server of this container can score what is live."""
    live = _live(Path(outside.get("MODEL_PATH") or "model_store") / RECORD)
    base = _base(outside, port)
    return _answers(f"{base}/ping", None) if live is None else _answers(f"{base}/predictions/fraud/{live}", DESCRIBE)


def _base(outside: Mapping[str, str], port: int) -> str:
    return f"http://{outside.get('INFERENCE_HOST') or '127.0.0.1'}:{port}"


def _silent_for(since: Path, now: float) -> float:
    """Seconds since the first check in a row that got no answer; this one may be the first."""
    try:
        return now - float(since.read_text())
    except (OSError, ValueError):
        since.write_text(str(now))
        return 0.0


def _kill(process: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(process.read_text()), signal.SIGKILL)


def _live(record: Path) -> int | None:
    try:
        return int(json.loads(record.read_bytes())["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _answers(url: str, body: bytes | None) -> bool:
    """Whether the answer is a success; any other status is raised by urllib, as an OSError."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, body, {"Content-Type": "application/octet-stream"})  # noqa: S310 - http
    try:
        direct.open(request, timeout=PATIENCE).close()
    except (OSError, http.client.HTTPException):
        return False
    return True


if __name__ == "__main__":
    sys.exit(0 if check(os.environ, Path(tempfile.gettempdir())) else 1)
