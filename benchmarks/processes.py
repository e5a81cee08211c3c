"""What several processes of a gateway cost, and how the kernel spreads callers over them.

`python -m benchmarks.processes` starts gateways of one, two and four processes over the tests' small model server, and
prints for each the processor time of an idle second, of a request of 32 callers who keep their connections, and of a
scrape of /metrics; connections by process; and resident memory. Processor time, not wall time: other work on the
machine does not count. It needs no TorchServe and no Redis.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil

from tests.gateway.process import KEY, ROW, Gateway
from tests.tiny import TinyServer, write_version

COUNTS = (1, 2, 4)
RUNS, CALLERS, REQUESTS_EACH, SCRAPES, IDLE_SECONDS = 3, 32, 20, 20, 5.0


class Measured:
    """One gateway, and what its processes use."""

    def __init__(self, directory: Path, model_server: TinyServer, count: int) -> None:
        directory.mkdir()
        self.gateway = Gateway(directory, model_server, GATEWAY_PROCESSES=str(count), TMPDIR=str(directory))
        self.gateway.until_it_is("ready")
        main = psutil.Process(self.gateway.process.pid)
        self.processes = [main, *main.children()]

    def processor_seconds(self) -> float:
        """Of all its processes so far."""
        return sum(sum(each.cpu_times()[:2]) for each in self.processes)

    def connections(self) -> Sequence[int]:
        """Connections of callers by process, where there are several."""
        port = httpx.URL(self.gateway.url).port
        return [
            sum(
                each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED for each in process.net_connections()
            )
            for process in self.processes[1:]
        ]

    async def load(self) -> Sequence[int]:
        """Has all callers send their requests; connections by process, while they do."""
        limits = httpx.Limits(max_connections=CALLERS, max_keepalive_connections=CALLERS)
        async with httpx.AsyncClient(trust_env=False, limits=limits, timeout=60) as client:
            calling = asyncio.gather(*(self._call(client) for _ in range(CALLERS)))
            await asyncio.sleep(0.5)
            found = self.connections()
            await calling
        return found

    async def _call(self, client: httpx.AsyncClient) -> None:
        for _ in range(REQUESTS_EACH):
            answer = await client.post(f"{self.gateway.url}/v1/score", json=ROW, headers={"X-API-Key": KEY})
            answer.raise_for_status()

    def scrape(self) -> None:
        """Reads the metrics."""
        httpx.get(f"{self.gateway.url}/metrics", trust_env=False, timeout=60).raise_for_status()


@contextmanager
def _gateways() -> Iterator[Sequence[Measured]]:
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        server, directory = TinyServer(), Path(scratch)
        server.serve(write_version(directory / "v1"))
        found = []
        for count in COUNTS:
            found.append(Measured(directory / str(count), server, count))
            stack.callback(found[-1].gateway.close)
        yield found


def main() -> None:
    """Prints what was measured."""
    with _gateways() as gateways:
        for count, each in zip(COUNTS, gateways, strict=True):
            before = each.processor_seconds()
            time.sleep(IDLE_SECONDS)
            idle = (each.processor_seconds() - before) / IDLE_SECONDS
            memory = [process.memory_info().rss // 1_000_000 for process in each.processes]
            print(f"{count}: idle {idle:.1%} of a processor, resident MB {memory}")
        for _ in range(RUNS):
            for count, each in zip(COUNTS, gateways, strict=True):
                before = each.processor_seconds()
                connections = asyncio.run(each.load())
                cost = (each.processor_seconds() - before) / CALLERS / REQUESTS_EACH
                print(f"{count}: {cost * 1e3:.2f} ms a request, connections {connections}")
        for count, each in zip(COUNTS, gateways, strict=True):
            before = each.processor_seconds()
            for _ in range(SCRAPES):
                each.scrape()
            print(f"{count}: {(each.processor_seconds() - before) / SCRAPES * 1e3:.1f} ms a scrape")


if __name__ == "__main__":
    main()
