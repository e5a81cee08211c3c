"""Scoring over HTTP: one or several running gateways, in turn, in one run.

`python -m benchmarks.scoring http://127.0.0.1:8000 [http://127.0.0.1:8100 ...]` sends single transactions at rising
concurrency and a file of 20,000 rows, and prints a line for each gateway: compare lines of one run only. The client
runs on the same processors. The key is API_KEY, or test-key.
"""

import asyncio
import csv
import io
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import uvloop

from benchmarks import stack

REQUESTS = 1600
ROUNDS = 3
CONCURRENCY = (1, 8, 32)
FILE_ROWS = 20_000


async def main(urls: list[str]) -> None:
    """Measures and prints."""
    headers = {"X-API-Key": os.environ.get("API_KEY", "test-key")}
    async with aiohttp.ClientSession(headers=headers) as session:
        for concurrency in CONCURRENCY:
            for url in urls * ROUNDS:
                print(f"{url}  {concurrency:>3} at once  {await _transactions(session, url, concurrency)}")
        for url in urls * ROUNDS:
            print(f"{url}  {FILE_ROWS} rows  {await _file(session, url)}")


async def _transactions(session: aiohttp.ClientSession, url: str, concurrency: int) -> str:
    transaction = _transaction()

    async def send() -> None:
        async with session.post(f"{url}/v1/score", json=transaction) as answer:
            answer.raise_for_status()
            await answer.read()

    await send()
    started = time.perf_counter()
    times = await _timed(send, concurrency)
    rate = len(times) / (time.perf_counter() - started)
    return (
        f"p50 {statistics.median(times):6.2f} ms  p99 {statistics.quantiles(times, n=100)[98]:6.2f} ms  {rate:5.0f}/s"
    )


async def _timed(send: Callable[[], Awaitable[None]], concurrency: int) -> list[float]:
    times = list[float]()

    async def client() -> None:
        for _ in range(REQUESTS // concurrency):
            started = time.perf_counter()
            await send()
            times.append((time.perf_counter() - started) * 1e3)

    await asyncio.gather(*(client() for _ in range(concurrency)))
    return times


async def _file(session: aiohttp.ClientSession, url: str) -> str:
    header, _, rows = stack.EXAMPLE.read_bytes().partition(b"\n")
    body = header + b"\n" + rows * (FILE_ROWS // rows.count(b"\n"))
    started = time.perf_counter()
    async with session.post(f"{url}/upload", data=body, headers={"content-type": "text/csv"}) as answer:
        answer.raise_for_status()
        await answer.read()
    return f"{(time.perf_counter() - started) * 1e3:6.0f} ms"


def _transaction() -> dict[str, object]:
    record: dict[str, object] = dict(next(csv.DictReader(io.StringIO(stack.EXAMPLE.read_text()))))
    return record | {"amount": float(str(record["amount"]))}


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:] or ["http://127.0.0.1:8000"]))
