"""What our own code costs beside the bare model: processor time of this process, as a ratio that no machine changes.

`python -m benchmarks.hot_path` prints, for 32 transactions at once and for a file of 20,000 rows, how many times the
processor time of the bare loop over the same module and rows the whole gateway takes: the real app from its ASGI
interface on, the real handler behind the transport, history from a real Valkey (whose own time is not counted). Both
are measured in turn in one process, the least of several runs each. `tests/benchmarks/test_hot_path.py` bounds both.
"""

import asyncio
import contextlib
import json
import logging
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import structlog
import torch
from numpy.typing import NDArray
from pydantic import SecretStr

from benchmarks.comparison.inputs import transactions
from gateway.app import create_app
from gateway.http.protocol import WHOLE
from gateway.logs import configure
from gateway.requests.payload import INLINE_BYTES
from gateway.settings import GatewaySettings
from handlers.fraud_handler import FraudHandler
from releases.record import Release
from tests.keys import HISTORY_KEY
from tests.tiny import TinyServer, load
from tests.valkey import running
from training.simulator import Simulation
from training.train import TrainRequest, train

RUNS = 4
CALLERS, REQUESTS_EACH = 32, 10
FILE_ROWS, BLOCK_ROWS = 20_000, 8192
KEY = "hot-path"
READY_SECONDS = 60.0
SMALL = Simulation(days=60, customers=150, terminals=200)
"""About 15,000 transactions: the network is the default one, and how good it is does not matter here."""


@dataclass(frozen=True, slots=True)
class CostRatios:
    """The gateway's processor time over that of the bare loop.

    Attributes:
        singles: of single transactions, CALLERS at once.
        file: of a file of FILE_ROWS.
    """

    singles: float
    file: float


class AsgiApp:
    """The gateway's app, called as a server calls it, without any socket."""

    def __init__(self, app: Callable[..., Any]) -> None:
        """Takes an app that was not started."""
        self._app = app
        self._state = dict[str, Any]()

    @contextlib.asynccontextmanager
    async def started(self) -> AsyncIterator[None]:
        """Runs its lifespan."""
        events, replies = asyncio.Queue[dict[str, str]](), asyncio.Queue[dict[str, str]]()
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}
        running_app = asyncio.create_task(self._app(scope, events.get, replies.put))
        await events.put({"type": "lifespan.startup"})
        assert (await replies.get())["type"] == "lifespan.startup.complete"
        try:
            yield
        finally:
            await events.put({"type": "lifespan.shutdown"})
            await running_app

    async def request(self, method: str, path: str, content_type: str = "", body: bytes = b"") -> tuple[int, bytes]:
        """Status and body of an answer."""
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
            "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http",
            "headers": [
                (b"host", b"localhost"), (b"x-api-key", KEY.encode()), (b"content-type", content_type.encode()),
                (b"content-length", str(len(body)).encode()),
            ],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": dict(self._state), "extensions": {},
            WHOLE: len(body) <= INLINE_BYTES,
        }  # fmt: skip
        messages, answer, status = [{"type": "http.request", "body": body, "more_body": False}], bytearray(), 0

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            answer.extend(message.get("body", b""))

        await self._app(scope, receive, send)
        return status, bytes(answer)


class HotPath:
    """Measures both sides in turn."""

    def __init__(self, app: AsgiApp, handler: FraudHandler, rows: pd.DataFrame) -> None:
        """Takes a started app, and the module that it scores with."""
        self._app = app
        self._module = handler.model
        self._width = handler.description.contract.width
        self._rows = rows
        self._sent = 0

    async def ratios(self) -> CostRatios:
        """After one run of each that warms up."""
        matrix = np.random.default_rng(0).random((FILE_ROWS, self._width), dtype=np.float32)
        singles, file, bare_singles, bare_file = [], [], [], []
        for _ in range(RUNS + 1):
            singles.append(await self._singles() / (CALLERS * REQUESTS_EACH))
            bare_singles.append(self._bare(matrix[: CALLERS * REQUESTS_EACH], 1) / (CALLERS * REQUESTS_EACH))
            file.append(await self._file())
            bare_file.append(self._bare(matrix, BLOCK_ROWS))
        return CostRatios(min(singles[1:]) / min(bare_singles[1:]), min(file[1:]) / min(bare_file[1:]))

    def _bare(self, matrix: NDArray[np.float32], block: int) -> float:
        began = time.process_time()
        with torch.inference_mode():
            for begin in range(0, len(matrix), block):
                self._module(torch.from_numpy(matrix[begin : begin + block])).numpy()
        return time.process_time() - began

    async def _singles(self) -> float:
        bodies = [json.dumps(row).encode() for row in self._new_rows(CALLERS * REQUESTS_EACH).to_dict("records")]
        began = time.process_time()
        await asyncio.gather(*(self._caller(bodies[caller::CALLERS]) for caller in range(CALLERS)))
        return time.process_time() - began

    async def _caller(self, bodies: list[bytes]) -> None:
        for body in bodies:
            self._check(1, *await self._app.request("POST", "/v1/score", "application/json", body))

    async def _file(self) -> float:
        body = self._new_rows(FILE_ROWS).to_csv(index=False).encode()
        began = time.process_time()
        status, answer = await self._app.request("POST", "/upload", "text/csv", body)
        taken = time.process_time() - began
        self._check(FILE_ROWS, status, answer)
        return taken

    def _new_rows(self, count: int) -> pd.DataFrame:
        """Transactions whose ids never came before."""
        self._sent += 1
        return self._rows[:count].assign(transaction_id=[f"r{self._sent}-{number}" for number in range(count)])

    @staticmethod
    def _check(rows: int, status: int, body: bytes) -> None:
        assert status == 200, body  # noqa: PLR2004 - HTTP's own number
        assert body.count(b'"fraud_probability"') == rows
        assert b'"degraded"' not in body[-200:], "without history there is nothing to compare"


async def measure(directory: Path, redis_url: str) -> CostRatios:
    """Trains a version into the directory, starts the app over it, and measures."""
    unpacked = _trained(directory)
    server = TinyServer()
    server.serve(unpacked)
    record = directory / "release.json"
    record.write_bytes(Release(1, None, datetime.now(UTC).isoformat()).to_bytes())
    settings = GatewaySettings(
        api_key=SecretStr(KEY),
        history_key=SecretStr(HISTORY_KEY),
        redis_url=redis_url,
        release_record=record,
        log_stream=False,
    )
    app = AsgiApp(create_app(settings, transport=server))
    with _logging_to(directory / "gateway.jsonl"):
        async with app.started():
            await _ready(app)
            return await HotPath(app, load(unpacked), transactions(1_800_000)).ratios()


@contextlib.contextmanager
def _logging_to(file: Path) -> Iterator[None]:
    """Logs as a gateway does, to a file; the root logger is as before afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configure(file, stream=False)
    try:
        yield
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers, root.level = before, level
        structlog.reset_defaults()


async def _ready(app: AsgiApp) -> None:
    async with asyncio.timeout(READY_SECONDS):
        while (await app.request("GET", "/readyz"))[0] != 200:  # noqa: ASYNC110, PLR2004 - it tells only who asks
            await asyncio.sleep(0.05)


def _trained(directory: Path) -> Path:
    train(TrainRequest(version=1, out=directory, simulation=SMALL, epochs=1))
    unpacked = directory / "unpacked"
    with zipfile.ZipFile(next(directory.glob("*.mar"))) as archive:
        archive.extractall(unpacked)
    return unpacked


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory(prefix="fb-") as scratch, running(Path(scratch)) as valkey:
        ratios = asyncio.run(measure(Path(scratch), valkey.url))
    print(f"one of {CALLERS} transactions at once: {ratios.singles:.1f} times the bare model's processor time")
    print(f"a file of {FILE_ROWS:,} rows: {ratios.file:.1f} times")


if __name__ == "__main__":
    main()
