"""A steady load: requests leave by the clock, whether or not the answers come (an open loop), and each is noted.

With a bound of requests in flight it becomes a closed loop where the bound is reached: it sends no faster than is
answered, and so asks of a busy machine no more than it can do.
"""

import asyncio
import json
import os
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import aiohttp

OK = 200
NO_ANSWER = 0
UNBOUNDED = 1 << 30
TIMEOUT_SECONDS = 20.0
"""Seconds; the gateway's own deadline is 10."""
KEEPALIVE_SECONDS = 2.0
"""Seconds that a connection is kept without use: fewer than the gateway's 5, or a request would meet its closing."""


@dataclass(frozen=True, slots=True)
class LoadResponse:
    """One request as its caller saw it; times are seconds since 1970.

    Attributes:
        identity: sent as X-Request-ID; the gateway's log repeats it.
        due: when the schedule had it leave.
        started: when it left.
        ended: when its answer was there, or its failure.
        status: of HTTP; NO_ANSWER where there was none.
        body: the answer's JSON; empty where it is none.
    """

    identity: str
    due: float
    started: float
    ended: float
    status: int
    body: dict[str, Any]

    @property
    def version(self) -> int | None:
        """The version that scored, by the answer's own word."""
        version = self.body.get("model_version")
        return version if isinstance(version, int) else None

    @property
    def milliseconds(self) -> float:
        """From the moment that it was due: a load that lags behind hides no waiting."""
        return (self.ended - self.due) * 1e3


class Load:
    """Uploads one file again and again, from a thread of its own.

    Attributes:
        answers: in the order in which they came.
        prefix: of the identities of all requests of this load.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a load is made of
        self, url: str, csv: bytes, rate: float, key: str = "test-key", query: str = "", in_flight: int = UNBOUNDED
    ) -> None:
        """Prepares a load.

        Args:
            url: the gateway's address.
            csv: the file.
            rate: requests a second.
            key: of the gateway.
            query: options of the upload, such as "?record=false".
            in_flight: requests that are not answered yet at most; further ones leave when one of them is.
        """
        self._url = f"{url}/upload{query}"
        self._csv = csv
        self._rate = rate
        self._slots = asyncio.Semaphore(in_flight)
        self._headers = {"X-API-Key": key, "content-type": "text/csv"}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.answers: list[LoadResponse] = []
        self.prefix = f"load-{os.urandom(4).hex()}-"

    def __enter__(self) -> Self:
        """Begins."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Sends no more, and waits for the answers that are due."""
        self._ending.set()
        self._thread.join()

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        session = aiohttp.ClientSession(connector=connector, timeout=timeout, headers=self._headers)
        async with session, asyncio.TaskGroup() as group:
            await self._send_by_the_clock(session, group)

    async def _send_by_the_clock(self, session: aiohttp.ClientSession, group: asyncio.TaskGroup) -> None:
        due, number = time.time(), 0
        while not self._ending.is_set():
            await asyncio.sleep(due - time.time())
            is_full = self._slots.locked()
            await self._slots.acquire()
            due = time.time() if is_full else due
            group.create_task(self._send(session, f"{self.prefix}{number}", due))
            due, number = due + 1 / self._rate, number + 1

    async def _send(self, session: aiohttp.ClientSession, identity: str, due: float) -> None:
        started = time.time()
        status, body = await self._request(session, identity)
        self._slots.release()
        self.answers.append(LoadResponse(identity, due, started, time.time(), status, body))

    async def _request(self, session: aiohttp.ClientSession, identity: str) -> tuple[int, dict[str, Any]]:
        try:
            async with session.post(self._url, data=self._csv, headers={"X-Request-ID": identity}) as answer:
                return answer.status, json.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, ConnectionError, ValueError):
            return NO_ANSWER, {}


def achieved(answers: Sequence[LoadResponse]) -> float:
    """Requests a second that really left."""
    times = [answer.started for answer in answers]
    return (len(times) - 1) / (max(times) - min(times))


def failed(answers: Sequence[LoadResponse]) -> list[LoadResponse]:
    """Those without success."""
    return [answer for answer in answers if answer.status != OK]


def summary(answers: Sequence[LoadResponse]) -> str:
    """Rate, failures and latency, as a line."""
    cuts = statistics.quantiles([answer.milliseconds for answer in answers], n=100)
    return (
        f"{len(answers)} requests  {achieved(answers):5.1f}/s  {len(failed(answers))} failed  "
        f"p50 {cuts[49]:6.2f} ms  p99 {cuts[98]:6.2f} ms"
    )
