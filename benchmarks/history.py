"""What history costs: the same transactions to a gateway whose live version has it and to one whose version has not.

`python -m benchmarks.history http://127.0.0.1:8100 http://127.0.0.1:8200 transactions.csv` sends single transactions and
files of 20,000 rows, each with ids of its own, to both in turn, and prints medians and what lies between them. The
file is the default model's (`fraud sample -n 20000 transactions.csv`). docs/performance.md says how the second gateway
is started. The key is API_KEY, or test-key; the client runs on the same processors.
"""

import asyncio
import csv
import io
import os
import random
import statistics
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import uvloop

REQUESTS, FILES = 1500, 9
FILE_ROWS = 20_000
Row = dict[str, str]


async def main(urls: list[str], file: Path) -> None:
    """Measures and prints."""
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    headers = {"X-API-Key": os.environ.get("API_KEY", "test-key")}
    async with aiohttp.ClientSession(headers=headers) as session:
        singles = await _in_turn(urls, REQUESTS, lambda url: _single(session, url, rows))
        files = await _in_turn(urls, FILES, lambda url: _file(session, url, rows))
    for what, (history, none) in (("one transaction", singles), (f"{FILE_ROWS:,} rows", files)):
        print(
            f"{what}: {history:.2f} ms with history, {none:.2f} without: {history - none:+.2f} ms, x{history / none:.2f}"
        )


async def _in_turn(urls: list[str], times: int, send: Callable[[str], Awaitable[float]]) -> list[float]:
    """The median milliseconds of each, after one that warms up."""
    found: list[list[float]] = [[] for _ in urls]
    for _ in range(times + 1):
        for each, url in zip(found, urls, strict=True):
            each.append(await send(url))
    return [statistics.median(each[1:]) for each in found]


async def _single(session: aiohttp.ClientSession, url: str, rows: list[Row]) -> float:
    row = random.choice(rows)  # noqa: S311 - no secret
    body = row | {"amount": float(row["amount"]), "transaction_id": uuid.uuid4().hex}
    started = time.perf_counter()
    async with session.post(f"{url}/v1/score", json=body) as answer:
        await _whole(answer)
    return (time.perf_counter() - started) * 1e3


async def _file(session: aiohttp.ClientSession, url: str, rows: list[Row]) -> float:
    text, mark = io.StringIO(newline=""), uuid.uuid4().hex[:12]
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    some = (rows * -(-FILE_ROWS // len(rows)))[:FILE_ROWS]
    writer.writerows(row | {"transaction_id": f"{mark}-{number}"} for number, row in enumerate(some))
    body = text.getvalue().encode()
    started = time.perf_counter()
    async with session.post(f"{url}/upload", data=body, headers={"content-type": "text/csv"}) as answer:
        await _whole(answer)
    return (time.perf_counter() - started) * 1e3


async def _whole(answer: aiohttp.ClientResponse) -> None:
    answer.raise_for_status()
    if b'"degraded"' in (await answer.read())[-200:]:
        print("an answer without history: it is measured all the same")


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:3], Path(sys.argv[3])))
