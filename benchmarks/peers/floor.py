"""The least that a Python server before a model server can do: for what no gateway can be quicker than.

It takes a request, sends a fixed frame to the model server if FLOOR_MODEL_PORT is set, and answers a fixed prediction:
nothing is checked, parsed, computed, logged or counted.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.comparison.raw_http import Connection
from contract.frame import Frame
from contract.schema import Contract

ANSWER = b'{"model_version":1,"rows":1,"flagged":0,"predictions":[{"row":1,"id":"a","fraud_probability":0.01}]}'
PORT = int(os.environ.get("FLOOR_MODEL_PORT", "0"))
TIMEOUT_SECONDS = 10.0
HEAD = (
    f"POST /predictions/fraud HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nContent-Type: application/octet-stream\r\n"
    "Content-Length: {length}\r\n\r\n"
)

Message = Mapping[str, Any]
_idle: list[Connection] = []


def frame() -> bytes:
    """A frame of one row of zeros."""
    contract = Contract.from_bytes((Path(os.environ["MODEL_DIRECTORY"]) / "contract.json").read_bytes())
    return Frame(1, contract.fingerprint, np.zeros((1, contract.width), np.float32)).to_bytes()


FRAME = frame() if PORT else b""
FRAME_HEAD = HEAD.format(length=len(FRAME)).encode()


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answers each request alike."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    status = 200
    if PORT:
        connection = _idle.pop() if _idle else Connection("127.0.0.1", PORT, TIMEOUT_SECONDS)
        status, _ = await connection.request(FRAME_HEAD, FRAME)
        _idle.append(connection)
    length = str(len(ANSWER)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})
