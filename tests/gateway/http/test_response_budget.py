"""Large answers and how their callers read them."""

import asyncio
from contextlib import ExitStack

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.http.byte_budget import TransferLimits
from gateway.http.response_budget import ResponseBudget
from tests.gateway.http.test_protocol import serving
from tests.timeouts import WAIT_SECONDS

SIZE = 20_000_000
"""More than the buffers between a server and a caller who does not read."""
ASK = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Answering:
    """An app whose answers are large and counted; it notes how each went."""

    def __init__(self, limits: TransferLimits) -> None:
        self._budget = ResponseBudget(SIZE, limits)  # Of one answer: the next one needs what it held.
        self.ended = asyncio.Queue[bool]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers."""
        with ExitStack() as until_sent:
            request = Request(scope)
            request.state.until_sent = until_sent
            response = await self._budget.reserve(request, Response(b"x" * SIZE))
            try:
                await response(scope, receive, send)
            except ClientDisconnect:
                self.ended.put_nowait(False)
                raise
        self.ended.put_nowait(True)


@pytest.mark.anyio
async def test_a_caller_who_does_not_read_is_cut_off() -> None:
    """His answer is given up after its time; then there is room for the next caller's."""
    app = Answering(TransferLimits(seconds=WAIT_SECONDS, stall_seconds=0.3, least_rate=1.0))
    async with asyncio.timeout(WAIT_SECONDS), serving(app=app) as port:
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        silent.write(ASK)
        assert not await app.ended.get()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        for each in (silent, writer):
            each.close()


@pytest.mark.anyio
async def test_a_caller_who_reads_steadily_is_not_cut_off() -> None:
    """However large the answer is: its timeout begins anew with each part that is read."""
    app = Answering(TransferLimits(seconds=WAIT_SECONDS, stall_seconds=WAIT_SECONDS, least_rate=1.0))
    async with asyncio.timeout(WAIT_SECONDS), serving(app=app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK)
        received = 0
        while part := await reader.read(100_000):
            received += len(part)
        assert received > SIZE
        writer.close()
