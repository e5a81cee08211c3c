"""The latency that history adds: the same transactions to a gateway whose live version has it and to one without.

`python -m benchmarks.history http://127.0.0.1:8100 http://127.0.0.1:8200 transactions.csv` takes a file of 40,000 rows
(`fraud sample --rows 40000 -o transactions.csv`): the first half is the past of its cards, the other half is measured,
as files of 20,000 rows and as single transactions. Each round has cards and ids of its own and is sent to both in
turn; medians are printed, and what lies between them. docs/history.md says how the second gateway is started and what
was measured. The key is API_KEY, or test-key; the client runs on the same processors.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import pandas as pd
import uvloop

SINGLES, FILES = 1500, 7
FILE_ROWS = 20_000
QUIET_SECONDS = 1.0
"""Before each file: what the gateway does after a reply (expiries, answers) is not the next file's."""
TRIES = 3
"""Of a file: Redis was silent for 50 ms once (a busy disk), and the answer said so."""
NEUTRAL = "an answer without history: is Redis full? There is nothing to measure"
CSV = {"content-type": "text/csv"}


async def main(urls: list[str], rows: pd.DataFrame) -> None:
    """Measures and prints."""
    past, now = rows[:FILE_ROWS], rows[FILE_ROWS : 2 * FILE_ROWS]
    headers = {"X-API-Key": os.environ.get("API_KEY", "test-key")}
    async with aiohttp.ClientSession(headers=headers) as session:
        files: list[list[float]] = [[] for _ in urls]
        for number in range(FILES + 1):
            for url in urls:
                await _file(session, url, _world(past, f"{number}-past", number))
            for result, url in zip(files, urls, strict=True):
                result.append(await _file(session, url, _world(now, f"{number}-now", number)))
        singles = await _in_turn(urls, SINGLES, lambda url, turn: _single(session, url, _one(now, turn)))
    _print(f"{FILE_ROWS:,} rows", [result[1:] for result in files])
    _print("one transaction", singles)


def _print(what: str, result: list[list[float]]) -> None:
    history, none = (statistics.median(each) for each in result)
    print(f"{what}: {history:.2f} ms with history, {none:.2f} without: {history - none:+.2f} ms, x{history / none:.2f}")


async def _in_turn(urls: list[str], times: int, send: Callable[[str, int], Awaitable[float]]) -> list[list[float]]:
    """The milliseconds of each, after some that warm up."""
    result: list[list[float]] = [[] for _ in urls]
    for turn in range(times + 20):
        for each, url in zip(result, urls, strict=True):
            each.append(await send(url, turn))
    return [each[20:] for each in result]


def _world(rows: pd.DataFrame, mark: str, number: int) -> pd.DataFrame:
    """The rows with ids of their own, for cards and terminals that each round has for itself."""
    own = {name: rows[name] + f"-{number}" for name in ("customer_id", "terminal_id")}
    return rows.assign(transaction_id=[f"{mark}-{os.urandom(6).hex()}" for _ in range(len(rows))], **own)


def _one(rows: pd.DataFrame, turn: int) -> dict[str, object]:
    row = _world(rows.sample(), f"single-{turn}", turn % FILES).iloc[0]
    return {str(name): float(value) if name == "amount" else value for name, value in row.items()}


async def _single(session: aiohttp.ClientSession, url: str, body: dict[str, object]) -> float:
    started = time.perf_counter()
    async with session.post(f"{url}/v1/score", json=body) as answer:
        if not await _is_complete(answer):
            sys.exit(NEUTRAL)
    return (time.perf_counter() - started) * 1e3


async def _file(session: aiohttp.ClientSession, url: str, rows: pd.DataFrame) -> float:
    for _ in range(TRIES):
        body = rows.to_csv(index=False).encode()
        await asyncio.sleep(QUIET_SECONDS)
        started = time.perf_counter()
        async with session.post(f"{url}/upload", data=body, headers=CSV) as answer:
            whole = await _is_complete(answer)
        if whole:
            return (time.perf_counter() - started) * 1e3
        print("a file was answered without waiting for Redis: sent again, as other rows")
        rows = rows.assign(transaction_id=[os.urandom(8).hex() for _ in range(len(rows))])
    sys.exit(NEUTRAL)


async def _is_complete(answer: aiohttp.ClientResponse) -> bool:
    """Whether history was there."""
    answer.raise_for_status()
    return b'"degraded"' not in (await answer.read())[-200:]


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:3], pd.read_csv(sys.argv[3], dtype=str, keep_default_na=False)))
