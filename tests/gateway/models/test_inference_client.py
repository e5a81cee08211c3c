"""The adapter to TorchServe's inference port, over the real handler."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import httpx
import numpy as np
import pytest

from contract.frame import Frame
from gateway.http.problems import DeadlineExceeded, ModelServerDown, ModelServerWrong
from gateway.models import inference_client as module
from gateway.models.inference_client import InferenceClient, connect_model_server
from gateway.models.proving import PROOF_CONNECTIONS
from gateway.models.recent_calls import RecentCalls
from gateway.models.retry_budget import RetryBudget
from gateway.settings import GatewaySettings
from tests.tiny import CONTRACT, TinyServer, matrix


class Counting(httpx.AsyncBaseTransport):
    """Passes on to another transport, and notes what went by."""

    def __init__(self, inner: TinyServer) -> None:
        self.inner = inner
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return await self.inner.handle_async_request(request)


class Together(Counting):
    """Answers each request only when others have had the time to come, and counts how many were there at once."""

    def __init__(self, inner: TinyServer) -> None:
        super().__init__(inner)
        self._there = 0
        self._at_once: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._there += 1
        self._at_once.append(self._there)
        for _ in range(20):
            await asyncio.sleep(0)
        try:
            return await super().handle_async_request(request)
        finally:
            self._there -= 1

    @property
    def most(self) -> int:
        """Requests at once."""
        return self.most_since(0)

    def most_since(self, request: int) -> int:
        """The same, from this request on."""
        return max(self._at_once[request:])


async def score(
    transport: httpx.AsyncBaseTransport, rows: int, block_rows: int
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Probabilities of a matrix, sent in blocks."""
    async with connect_model_server(GatewaySettings(api_key="k"), transport) as client:
        server = InferenceClient(client, "fraud", block_rows, connections=2)
        return await server.score(1, CONTRACT.fingerprint, matrix(rows))


@pytest.mark.anyio
@pytest.mark.parametrize(("rows", "blocks"), [(0, 0), (1, 1), (10, 1), (11, 2), (100, 10)])
async def test_blocks_do_not_change_the_scores(model_server: TinyServer, rows: int, blocks: int) -> None:
    """A matrix in blocks gives, row for row, what it gives whole; torch's vector units may differ in the last bit."""
    counting = Counting(model_server)
    np.testing.assert_allclose(await score(counting, rows, 10), await score(model_server, rows, 1000), atol=1e-7)
    assert len(counting.requests) == blocks


@pytest.mark.anyio
async def test_a_wide_matrix_goes_in_small_blocks(model_server: TinyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block never outgrows what TorchServe takes in one request, and holds at least one row."""
    monkeypatch.setattr(module, "BLOCK_BYTES", 2 * 4 * CONTRACT.width)
    counting = Counting(model_server)
    await score(counting, 10, 1000)
    assert len(counting.requests) == 5
    monkeypatch.setattr(module, "BLOCK_BYTES", 1)
    await score(counting, 10, 1000)
    assert len(counting.requests) == 5 + 10


@pytest.mark.anyio
async def test_a_large_matrix_leaves_room_for_others(model_server: TinyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody asks for a few rows, blocks are small and go one at a time; the scores are the same."""
    monkeypatch.setattr(module, "SMALL_BLOCK_ROWS", 4)
    counting, recent = Together(model_server), RecentCalls()
    async with connect_model_server(GatewaySettings(api_key="k"), counting) as client:
        server = InferenceClient(client, "fraud", 10, 3, recent=recent)
        alone = await server.score(1, CONTRACT.fingerprint, matrix(60))
        assert (len(counting.requests), counting.most) == (6, 3)
        recent.note()
        beside = await server.score(1, CONTRACT.fingerprint, matrix(60))
        assert len(counting.requests) == 6 + 15
        assert counting.most_since(6) == 1
    np.testing.assert_allclose(alone, beside, atol=1e-7)


@pytest.mark.anyio
@pytest.mark.parametrize(("rows", "noted"), [(4, True), (5, False), (60, False)])
async def test_only_a_few_rows_are_told_to_others(
    model_server: TinyServer, monkeypatch: pytest.MonkeyPatch, rows: int, noted: bool
) -> None:
    """A large matrix need not make room for another one."""
    monkeypatch.setattr(module, "SMALL_BLOCK_ROWS", 4)
    recent = RecentCalls()
    async with connect_model_server(GatewaySettings(api_key="k"), model_server) as client:
        await InferenceClient(client, "fraud", 10, 3, recent=recent).score(1, CONTRACT.fingerprint, matrix(rows))
    assert recent.any is noted


ModelResponse = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def over_a_socket(
    answer: ModelResponse, retries: RetryBudget | None = None, deadline_seconds: float = 0.2
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Scores one row over the real transport, with a server that answers as told."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await answer(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = GatewaySettings(
        api_key="k", model_server_url=f"http://127.0.0.1:{port}", deadline_seconds=deadline_seconds
    )
    try:
        async with connect_model_server(settings) as client:
            return await InferenceClient(client, "fraud", 10, 2, retries).score(1, CONTRACT.fingerprint, matrix(1))
    finally:
        for writer in writers:
            writer.close()
        server.close()


@pytest.mark.anyio
async def test_sends_no_more_headers_than_needed() -> None:
    """Each header costs a TorchServe worker four system calls: there are three."""
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n"))
        frame = Frame(1, CONTRACT.fingerprint, np.array([[0.25]], dtype=np.float32)).to_bytes()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(frame) + frame)

    assert (await over_a_socket(answer)).tolist() == [0.25]
    assert seen[0] == b"POST /predictions/fraud/1 HTTP/1.1"
    names = {line.partition(b":")[0].lower() for line in seen[1:] if line}
    assert names == {b"host", b"content-type", b"content-length"}


@pytest.mark.anyio
async def test_a_silent_server_is_given_up_in_time() -> None:
    """A server that takes the request and says nothing is a deadline exceeded."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    with pytest.raises(DeadlineExceeded):
        await over_a_socket(answer)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "message", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 52\r\n\r\nhalf", b"no HTTP at all\r\n\r\n"]
)
async def test_a_server_that_breaks_off_is_down(message: bytes) -> None:
    """A connection that ends before the answer is whole, or is no HTTP, is a server that is down: not a slow one."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(message)
        await writer.drain()
        writer.close()

    with pytest.raises(ModelServerDown):
        await over_a_socket(answer)


@pytest.mark.anyio
async def test_a_refused_connection_is_a_server_that_is_down() -> None:
    """Nobody listening is down at once."""
    settings = GatewaySettings(api_key="k", model_server_url="http://127.0.0.1:1")
    async with connect_model_server(settings) as client:
        with pytest.raises(ModelServerDown):
            await InferenceClient(client, "fraud", 10, connections=2).describe(1)


@pytest.mark.anyio
async def test_a_proof_that_hangs_leaves_connections_for_the_others() -> None:
    """However few connections the settings allow for scoring, each of the proofs has its own."""
    together = asyncio.Barrier(PROOF_CONNECTIONS)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await together.wait()
        writer.write(b"HTTP/1.1 503 none\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = GatewaySettings(api_key="k", model_server_url=url, model_server_connections=1)
        async with connect_model_server(settings) as client:
            asked = [
                InferenceClient(client, "fraud", 10, PROOF_CONNECTIONS).describe(1) for _ in range(PROOF_CONNECTIONS)
            ]
            answers = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(answer) for answer in answers} == {ModelServerDown}


FRAME = Frame(1, CONTRACT.fingerprint, np.array([[0.25]], dtype=np.float32)).to_bytes()
SCORED = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(FRAME) + FRAME
NO_WORKER = b"HTTP/1.1 503 none\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


async def scored_with_retries(answers: list[bytes | None], budget: RetryBudget) -> list[float]:
    """Scores one row with retries; the server gives these answers one after the other, None is silence."""
    left = iter(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length: ")[1].split()[0]))
        message = next(left)
        if message is None:
            await reader.read(-1)
            return
        writer.write(message)
        await writer.drain()
        writer.close()

    scores = await over_a_socket(answer, budget, deadline_seconds=2.0)
    values: list[float] = scores.tolist()
    return values


@pytest.mark.anyio
@pytest.mark.parametrize("first", [b"", NO_WORKER, None], ids=["killed", "no worker", "frozen"])
async def test_a_block_whose_worker_ends_or_hangs_is_scored_by_another(first: bytes | None) -> None:
    """A worker that is killed, absent or frozen costs a moment and no request."""
    assert await scored_with_retries([first, SCORED], RetryBudget()) == [0.25]


@pytest.mark.anyio
async def test_nothing_is_sent_a_third_time() -> None:
    """Two failures are the server's, whatever the budget holds."""
    with pytest.raises(ModelServerDown):
        await scored_with_retries([NO_WORKER, NO_WORKER, SCORED], RetryBudget())


@pytest.mark.anyio
async def test_without_budget_the_first_failure_counts() -> None:
    """In an outage, when the budget is used up, requests fail at once."""
    budget = RetryBudget(clock=lambda: 0.0)
    while budget.try_acquire():
        pass
    with pytest.raises(ModelServerDown):
        await scored_with_retries([NO_WORKER, SCORED], budget)


@pytest.mark.anyio
async def test_without_budget_a_slow_answer_is_waited_for() -> None:
    """When all workers are slow, to give up early would fail what is about to be answered."""
    budget = RetryBudget(clock=lambda: 0.0)
    while budget.try_acquire():
        pass

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(2 * module.FIRST_ATTEMPT_SHARE)
        writer.write(SCORED)

    assert (await over_a_socket(slow, budget, deadline_seconds=1.0)).tolist() == [0.25]


@pytest.mark.anyio
async def test_a_wrong_answer_is_not_asked_for_again() -> None:
    """A version that answers with another contract's scores must be proven, not asked until it says something else."""
    wrong = b"HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    with pytest.raises(ModelServerWrong):
        await scored_with_retries([wrong, SCORED], RetryBudget())
