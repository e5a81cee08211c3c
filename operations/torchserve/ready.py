"""`python -m operations.torchserve.ready`: whether this TorchServe can score, for the health check of its container.

TorchServe's `/ping` is healthy without a model, without a worker, and with a frozen one. Ready is a server on which the
live version of the release record describes itself, which takes one of its workers. Where no version is live yet, one
that answers is ready: it waits for its first version.

It runs every few seconds and so imports the standard library alone.
"""

import http.client
import json
import os
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

PATIENCE = 5.0
DESCRIBE = b"DESCRIBE"
"""As in contract/frame.py; a test compares them."""
INFERENCE_PORT = 8080
RECORD = "release.json"
"""As in contract/release.py; a test compares them."""


def ready(outside: Mapping[str, str], port: int = INFERENCE_PORT) -> bool:
    """Whether the server of this container can score what is live."""
    live = _live(Path(outside.get("MODEL_PATH") or "model_store") / RECORD)
    base = f"http://{outside.get('INFERENCE_HOST') or '127.0.0.1'}:{port}"
    return _answers(f"{base}/ping", None) if live is None else _answers(f"{base}/predictions/fraud/{live}", DESCRIBE)


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
    sys.exit(0 if ready(os.environ) else 1)
