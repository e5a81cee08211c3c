"""What bounds the goals of docs/performance.md that are not reached: the same loads on servers that do nothing else.

`python -m benchmarks.bounds` measures in turn, three rounds, medians:

- a Python server that answers a fixed text (`benchmarks.peers.floor`): what HTTP alone takes;
- the same before TorchServe, to which it sends a fixed frame: what a gateway that computes nothing takes;
- the processor's time of all processes from `fraud up` to ready, and what half of it is: two processors cannot be
  quicker.

The first two are asked by one caller and by 32, with the body of one transaction, from this process. What history
costs, of this process and of Valkey, is measured by `python -m benchmarks.history_price`.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.comparison import servers
from benchmarks.comparison.processes import ServerProcesses, ServerProgram
from benchmarks.comparison.raw_http import Connection
from benchmarks.comparison.servers import PEERS, ServerContext
from benchmarks.comparison.versions import ROOT, trained
from operations.local.programs import free_ports
from operations.torchserve.launch import LOOPBACK

ROUNDS, SECONDS, WARM_SECONDS, START_SECONDS = 3, 4.0, 1.0, 120.0
OK = 200
BODY = (
    b'{"transaction_id":"0123456789","timestamp":"2026-05-02T13:05:00","customer_id":"C-1","terminal_id":"T-1",'
    b'"amount":12.5,"merchant_category":"grocery","channel":"chip","country":"US"}'
)


@dataclass(frozen=True, slots=True)
class FloorMeasurement:
    """What one load came to: answers a second, the median in ms, and ms of the processor an answer of all servers."""

    rate: float
    median: float
    processor: float


def floor(context: ServerContext, model_port: int = 0) -> ServerProgram:
    """The server that computes nothing, before a model server if one has this port."""
    (port,) = free_ports(1)
    command = (
        *(sys.executable, "-m", "uvicorn", f"{PEERS}.floor:app", "--host", LOOPBACK, "--port", str(port)),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
    )
    environment = servers.server_environment(
        FLOOR_MODEL_PORT=str(model_port), MODEL_DIRECTORY=str(context.plain.unpacked)
    )
    return ServerProgram(command, environment, ROOT, port, "/ready", {})


async def ask(port: int, callers: int, seconds: float) -> list[float]:
    """Milliseconds of each answer to some callers that ask again at once."""
    head = f"POST /v1/score HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    taken, until = list[float](), time.perf_counter() + seconds

    async def caller() -> None:
        connection = Connection(LOOPBACK, port, START_SECONDS)
        while (began := time.perf_counter()) < until:
            status, _ = await connection.request(head, BODY)
            if status != OK:
                raise RuntimeError(f"answered {status}")
            taken.append((time.perf_counter() - began) * 1e3)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return taken


def measure(programs: Sequence[ServerProgram], scratch: Path) -> list[FloorMeasurement]:
    """One caller, and 32, of the last of some programs."""
    found = []
    with ServerProcesses(programs, scratch / "floor.log", START_SECONDS) as running:
        for callers in (1, 32):
            uvloop.run(ask(programs[-1].port, callers, WARM_SECONDS))
            before = running.usage()
            taken = uvloop.run(ask(programs[-1].port, callers, SECONDS))
            processor = sum(running.usage().cpu_since(before).values()) / len(taken) * 1e3
            found.append(FloorMeasurement(len(taken) / SECONDS, statistics.median(taken), processor))
    return found


def start_seconds(context: ServerContext) -> tuple[float, float]:
    """Seconds until `fraud up` is ready, and processor's seconds that all of its processes took until then."""
    with ServerProcesses(servers.ours(lambda each: each.history)(context), context.scratch / "log", 120.0) as running:
        ready, usage = running.ready_seconds, running.usage()
    return ready, sum(seconds for _, seconds in usage.cpu.values())


def main() -> None:
    """Measures and prints."""
    history, plain = trained()
    found: dict[str, list[FloorMeasurement]] = {}
    starts = list[tuple[float, float]]()
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as scratch:
            context = ServerContext(history, plain, Path(scratch))
            model = servers.torchserve_frames(context)
            cases = {"HTTP alone": [floor(context)], "HTTP and the model": [*model, floor(context, model[0].port)]}
            for name, programs in cases.items():
                for callers, each in zip((1, 32), measure(programs, context.scratch), strict=True):
                    found.setdefault(f"{name}, {callers} callers", []).append(each)
        with tempfile.TemporaryDirectory() as scratch:
            starts.append(start_seconds(ServerContext(history, plain, Path(scratch))))
    for name, measured in found.items():
        rate, median, processor = (
            statistics.median(getattr(each, field) for each in measured) for field in ("rate", "median", "processor")
        )
        print(f"{name}: {rate:,.0f} a second, p50 {median:.2f} ms, {processor:.3f} ms of the processor each")
    ready, processor = (statistics.median(column) for column in zip(*starts, strict=True))
    print(f"fraud up: ready in {ready:.1f} s, {processor:.1f} s of the processor, so {processor / 2:.1f} s on two")


if __name__ == "__main__":
    main()
