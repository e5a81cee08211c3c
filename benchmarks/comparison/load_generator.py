"""The load generator: a process of its own, so that what it takes of a processor is known and disturbs no other.

    python -m benchmarks.comparison.load_generator < spec.json

It warms up, prints a line, waits for one, measures, and prints a line of JSON. Bodies are templates: a mark stands for
the first part of each id, and is another one in each request, so that no transaction comes twice.
"""

import asyncio
import json
import resource
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.comparison import answers
from benchmarks.comparison.answers import AnswerForm
from benchmarks.comparison.raw_http import Connection

OK = 200
MARK = b"@@MARK@@"
"""Stands in a template for the part of ids that is another one in each request; a mark has as many bytes."""
LINE_BYTES = 16_777_216
"""Of a line of JSON with the milliseconds of every answer."""
LAST_BYTES = 4096
"""Where an answer says that it is degraded: at its end or in its head."""


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """What to send.

    Attributes:
        path: with the query.
        headers: without Host and Content-Length.
        templates: a file of all bodies, one after the other.
        lengths: of each, in bytes.
        rows: transactions in each body.
        form: of the answers.
        prefix: of all marks; no other load has it.
        callers: that wait for their answer before they send again; or, with a rate, 0.
        rate: requests a second that leave whether or not answers come; 0 without.
        seconds: of measuring.
        requests: at most; 0 is without a bound.
        warm_requests: of each caller before the measurement.
        keep: a file for the last good answer; empty is none.
        timeout_seconds: of each request.
        uploads: a load beside it, whose answers are reported apart; it sends as long as this one measures.
        until_told: it sends until it gets another line, however long that is.
    """

    port: int
    path: str
    headers: dict[str, str]
    templates: str
    lengths: list[int]
    rows: int
    form: AnswerForm
    prefix: str
    callers: int = 1
    rate: float = 0.0
    seconds: float = 1.0
    requests: int = 0
    warm_requests: int = 0
    keep: str = ""
    timeout_seconds: float = 60.0
    uploads: "LoadSpec | None" = None
    until_told: bool = False


@dataclass(slots=True)
class LoadTotals:
    """What came of a load.

    Attributes:
        milliseconds: of each good answer; from the moment that it was due, where there is a rate.
        statuses: how many answers had each.
        degraded: good answers that said so.
        wrong: good answers with another number of predictions than rows.
        seconds: from the first request to the last answer.
        cpu_seconds: of this process.
        uploads: what came of the load beside it.
    """

    milliseconds: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    degraded: int = 0
    wrong: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    uploads: "LoadTotals | None" = None

    @property
    def good(self) -> int:
        """Answers 200 with a prediction for each row."""
        return len(self.milliseconds) - self.wrong


class Sender:
    """Sends the requests of one spec, and notes what comes."""

    def __init__(self, spec: LoadSpec) -> None:
        """Reads the templates."""
        self.spec = spec
        self.totals = LoadTotals()
        self._bodies = [body.split(MARK) for body in split(Path(spec.templates).read_bytes(), spec.lengths)]
        self._heads = dict[int, bytes]()
        self._idle = list[Connection]()
        self._sent = 0
        self._last = b""

    def keep(self) -> None:
        """Writes the last good answer to the file of the spec, if it names one."""
        if self.spec.keep:
            Path(self.spec.keep).write_bytes(self._last)

    async def warm_up(self) -> None:
        """Sends some requests that are not counted."""
        await asyncio.gather(*(self._warm_caller() for _ in range(max(self.spec.callers, 1))))

    async def _warm_caller(self) -> None:
        for _ in range(self.spec.warm_requests):
            await self._request()

    async def measure(self, ending: asyncio.Event | None = None) -> None:
        """Sends until the time is over, the number is reached, or somebody ends it; waits for the answers."""
        began = time.perf_counter()
        until = began + self.spec.seconds
        if self.spec.rate:
            await self._by_the_clock(began, until)
        else:
            start = self._sent
            await asyncio.gather(*(self._caller(until, start, ending) for _ in range(self.spec.callers)))
        self.totals.seconds = time.perf_counter() - began

    async def _caller(self, until: float, start: int, ending: asyncio.Event | None) -> None:
        while not (ending and ending.is_set()):
            if self.spec.requests and self._sent - start >= self.spec.requests:
                return
            if not self.spec.requests and ending is None and time.perf_counter() >= until:
                return
            began = time.perf_counter()
            self._note(*await self._request(), began)

    async def _by_the_clock(self, began: float, until: float) -> None:
        async with asyncio.TaskGroup() as group:
            due = began
            while due < until:
                await asyncio.sleep(due - time.perf_counter())
                group.create_task(self._due_request(due))
                due += 1 / self.spec.rate

    async def _due_request(self, due: float) -> None:
        self._note(*await self._request(), due)

    async def _request(self) -> tuple[int, bytes]:
        number, self._sent = self._sent, self._sent + 1
        pieces = self._bodies[number % len(self._bodies)]
        mark = f"{self.spec.prefix}{_base36(number):0>{len(MARK) - len(self.spec.prefix)}}".encode()
        body = mark.join(pieces)
        connection = self._idle.pop() if self._idle else self._new_connection()
        length = len(body)
        if length not in self._heads:
            self._heads[length] = self._head(length)
        answer = await connection.request(self._heads[length], body)
        self._idle.append(connection)
        return answer

    def _new_connection(self) -> Connection:
        return Connection("127.0.0.1", self.spec.port, self.spec.timeout_seconds)

    def _head(self, length: int) -> bytes:
        lines = [f"POST {self.spec.path} HTTP/1.1", f"Host: 127.0.0.1:{self.spec.port}", f"Content-Length: {length}"]
        lines += [f"{name}: {value}" for name, value in self.spec.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def _note(self, status: int, body: bytes, began: float) -> None:
        totals = self.totals
        totals.statuses[str(status)] = totals.statuses.get(str(status), 0) + 1
        if status != OK:
            return
        totals.milliseconds.append((time.perf_counter() - began) * 1e3)
        totals.wrong += answers.count(self.spec.form, body) != self.spec.rows
        totals.degraded += b'"degraded"' in body[-LAST_BYTES:] or b'"degraded"' in body[:LAST_BYTES]
        self._last = body


def split(bodies: bytes, lengths: list[int]) -> Iterator[bytes]:
    """The bodies that stand one after the other."""
    begin = 0
    for length in lengths:
        yield bodies[begin : begin + length]
        begin += length


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


async def run(spec: LoadSpec) -> LoadTotals:
    """Warms up, waits for a line, measures."""
    sender = Sender(spec)
    async with _beside(spec.uploads) as beside:
        await sender.warm_up()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        used = _processor_seconds()
        if beside:
            beside.tell("go")
        await sender.measure(_told() if spec.until_told else None)
        sender.totals.cpu_seconds = _processor_seconds() - used
        sender.keep()
        if beside:
            beside.tell("end")
            sender.totals.uploads = LoadTotals(**json.loads(await beside.line()))
    return sender.totals


class _Beside:
    """A load generator of its own: this one would be late while it makes a large body or reads a large answer."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def tell(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n".encode())

    async def line(self) -> bytes:
        assert self._process.stdout
        return await self._process.stdout.readline()


@asynccontextmanager
async def _beside(spec: LoadSpec | None) -> AsyncIterator[_Beside | None]:
    """The load beside this one, warm; it ends with the context."""
    if spec is None:
        yield None
        return
    command = (sys.executable, "-m", "benchmarks.comparison.load_generator")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, limit=LINE_BYTES, start_new_session=True
    )
    try:
        beside = _Beside(process)
        beside.tell(json.dumps(asdict(replace(spec, until_told=True))))
        await beside.line()
        yield beside
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _told() -> asyncio.Event:
    """An event that is set with the next line."""
    ending = asyncio.Event()
    waiting = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    waiting.add_done_callback(lambda _: ending.set())
    return ending


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def spec_from_json(fields: dict[str, Any]) -> LoadSpec:
    """A spec, and the one beside it."""
    beside, form = fields.pop("uploads", None), AnswerForm(fields.pop("form"))
    return LoadSpec(**fields, form=form, uploads=spec_from_json(beside) if beside else None)


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(run(spec_from_json(json.loads(sys.stdin.readline())))))), flush=True)
