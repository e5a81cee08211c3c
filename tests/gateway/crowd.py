"""What a crowd does to a real gateway: `python -m tests.gateway.crowd` prints the figures of docs/runbook.md.

A thousand callers with a valid key drip bodies into /upload, four send batches of 20 MB at once and others files of
10 MB, all of the shortest rows that the contract takes; meanwhile others upload small files and label.
"""

import asyncio
import contextlib
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import httpx
import psutil

from tests.gateway.process import Gateway
from tests.gateway.remembering import HEADER, history_server, line
from tests.gateway.trials import Valkey
from tests.keys import HISTORY_KEY

API_KEY = "k-1"
KEY = {"X-API-Key": API_KEY}
CSV = {**KEY, "content-type": "text/csv"}
MEGABYTE = 1_000_000


class Drippers:
    """Callers who announce a megabyte, send some of it, and then a byte a second; who is cut off begins again."""

    def __init__(self, url: str, number: int, first: int = 1, key: str = API_KEY) -> None:
        """Takes how many there are, how many bytes each sends at once, and the key that all have."""
        self._host, self._port = url.removeprefix("http://").split(":")
        self._number, self._first, self._key = number, first, key
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._all(),))
        self._ending = asyncio.Event()
        self.open = 0

    def __enter__(self) -> "Drippers":
        """Returns once all are there."""
        self._thread.start()
        until = time.monotonic() + 60
        while self.open < self._number and time.monotonic() < until:
            time.sleep(0.01)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Ends them."""
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()
        self._loop.close()

    async def _all(self) -> None:
        tasks = [asyncio.create_task(self._send_repeatedly()) for _ in range(self._number)]
        await self._ending.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(3):  # Turns of the loop in which connections close.
            await asyncio.sleep(0)

    async def _send_repeatedly(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                await self._drip()

    async def _drip(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, int(self._port))
        head = f"POST /upload HTTP/1.1\r\nHost: g\r\nX-API-Key: {self._key}\r\nContent-Type: text/csv\r\n"
        writer.write(head.encode() + b"Content-Length: 1000000\r\n\r\n" + b"x" * self._first)
        self.open += 1
        try:
            while not reader.at_eof():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):  # wait_for swallows a cancellation now and then, on Python 3.11.
                        await reader.read(1000)
                writer.write(b"x")
                await writer.drain()
        finally:
            self.open -= 1
            writer.transport.abort()


class Others:
    """Those who upload files of a few rows and label them, one after the other; statuses are counted."""

    def __init__(self, url: str) -> None:
        """Takes the gateway's address."""
        self._url = url
        self.statuses: Counter[int | str] = Counter()

    def ask(self, number: int) -> None:
        """So many uploads of 100 rows, and a label after each."""
        with httpx.Client(base_url=self._url, headers=KEY, timeout=60, trust_env=False) as client:
            for place in range(number):
                rows = "\n".join([HEADER, *(line(f"{place}-{row}") for row in range(100)), ""])
                label = [{"transaction_id": f"{place}-0", "fraud": True}]
                self._count(client, "/upload", content=rows, headers=CSV)
                self._count(client, "/v1/labels", json=label)

    def _count(self, client: httpx.Client, path: str, **more: object) -> None:
        try:
            status: int | str = client.post(path, **more).status_code  # type: ignore[arg-type] # as httpx has it
        except httpx.HTTPError as error:
            status = type(error).__name__
        self.statuses[status] += 1


@contextmanager
def gateway(**env: str) -> Iterator[Gateway]:
    """A gateway process of its own, over a Valkey and a model server in this one."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        valkey = Valkey(directory)
        stack.callback(valkey.kill)
        process = Gateway(directory, history_server(directory), REDIS_URL=valkey.url, HISTORY_KEY=HISTORY_KEY, **env)
        stack.callback(process.close)
        process.until_it_is("ready")
        yield process


def resident(running: Gateway) -> int:
    """Bytes that its processes have in memory, what they share counted in each."""
    return sum(int(each.memory_info().rss) for each in _processes(running))


def peak(running: Gateway) -> int:
    """The most bytes that its processes ever had, each at its own time."""
    return sum(_peak(each.pid) for each in _processes(running))


def _processes(running: Gateway) -> list[psutil.Process]:
    first = psutil.Process(running.process.pid)
    return [first, *first.children()]


def _peak(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(each.split()[1]) * 1024 for each in status if each.startswith("VmHWM"))


def shortest(size: int) -> bytes:
    """A file of so many bytes of the shortest rows that there are."""
    row = ",2026-01-01,,,\n"
    return f"{HEADER}\n{row * ((size - len(HEADER) - 1) // len(row))}".encode()


def loaded(url: str, batches: int, files: int, body: bytes, key: str = API_KEY) -> Counter[int]:
    """The statuses of batches of two such files, and of such files alone, all at once."""
    pair = [("files", ("a.csv", body)), ("files", ("b.csv", body))]

    def batch(_: int) -> int:
        return _post(f"{url}/predict/batch?record=false", {"X-API-Key": key}, files=pair)

    def file(_: int) -> int:
        return _post(f"{url}/upload?record=false", {**CSV, "X-API-Key": key}, content=body)

    with ThreadPoolExecutor(batches + files) as threads:
        return Counter([*threads.map(batch, range(batches)), *threads.map(file, range(files))])


def _post(url: str, headers: Mapping[str, str], **more: object) -> int:
    answer = httpx.post(url, headers=headers, timeout=300, trust_env=False, **more)  # type: ignore[arg-type] # as httpx has it
    return answer.status_code


def may_open_many() -> None:
    """Lets this process have the sockets of a thousand callers."""
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(few, min(4_096, most)), most))


def main(say: Callable[[str], None]) -> None:
    """The whole crowd, against the default settings."""
    may_open_many()
    with gateway(DEADLINE_SECONDS="60", SLOT_SECONDS="60", LARGE_BODY_PROCESSES="1") as running:
        others = Others(running.url)
        say(f"an idle gateway: {resident(running) / MEGABYTE:.0f} MB")
        with Drippers(running.url, 1_000):
            others.ask(500)
        say(f"uploads and labels of others beside 1,000 dripping bodies: {dict(others.statuses)}")
        with Drippers(running.url, 1_000, first=60_000):
            statuses = loaded(running.url, 4, 4, shortest(9_900_000))
        say(f"4 batches of 20 MB, 4 files of 10 MB and 1,000 bodies of which 60 kB came: {dict(statuses)}")
        say(f"at most {peak(running) / MEGABYTE:.0f} MB")
        time.sleep(60)
        say(f"a minute later {resident(running) / MEGABYTE:.0f} MB")


if __name__ == "__main__":
    main(lambda text: print(text, file=sys.stdout, flush=True))
