"""The adapter to TorchServe's inference port, over the real handler."""

import httpx
import numpy as np
import pytest

from contract.frame import Frame
from gateway import model_server as module
from gateway.model_server import ModelServer, connect
from gateway.settings import Settings
from tests.tiny import CONTRACT, TinyServer, matrix


class Counting(httpx.AsyncBaseTransport):
    """Passes on to another transport, and notes what went by."""

    def __init__(self, inner: TinyServer) -> None:
        self.inner = inner
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return await self.inner.handle_async_request(request)


async def score(transport: httpx.AsyncBaseTransport, rows: int, block_rows: int) -> np.ndarray[tuple[int], np.dtype]:
    """Probabilities of a matrix, sent in blocks."""
    async with connect(Settings(api_key="k"), transport) as client:
        server = ModelServer(client, "fraud", block_rows, connections=2)
        return await server.score(1, CONTRACT.fingerprint, matrix(rows))


@pytest.mark.anyio
@pytest.mark.parametrize(("rows", "blocks"), [(1, 1), (10, 1), (11, 2), (100, 10)])
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
async def test_sends_no_more_headers_than_needed(model_server: TinyServer) -> None:
    """Each header costs a TorchServe worker four system calls: there are three."""
    counting = Counting(model_server)
    await score(counting, 1, 10)
    assert set(counting.requests[0].headers) == {"host", "content-type", "content-length"}
    assert counting.requests[0].url.path == "/predictions/fraud/1"
    assert Frame.from_bytes(counting.requests[0].content).version == 1
