"""A false model server's answers are read up to a bound, and never unpacked."""

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.http.problems import ModelServerDown
from gateway.models import inference_client as module
from gateway.models.inference_client import InferenceClient, connect_model_server
from gateway.settings import GatewaySettings
from tests.keys import HISTORY_KEY


class FalseServer(httpx.AsyncBaseTransport):
    """Answers with a body and headers; `read` counts the bytes that were asked for."""

    def __init__(self, piece: bytes, pieces: int, **headers: str) -> None:
        self._piece, self._pieces, self._headers = piece, pieces, headers
        self.read = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = {name.replace("_", "-"): value for name, value in self._headers.items()}
        return httpx.Response(200, headers=headers, content=self._body())

    async def _body(self) -> AsyncIterator[bytes]:
        for _ in range(self._pieces):
            self.read += len(self._piece)
            yield self._piece


async def describe(server: FalseServer) -> None:
    """Asks for a description."""
    async with connect_model_server(GatewaySettings(api_key="k", history_key=HISTORY_KEY), server) as client:
        await InferenceClient(client, "fraud", 10, 1).describe(1)


@pytest.mark.anyio
async def test_an_answer_is_read_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes beyond it is not."""
    monkeypatch.setattr(module, "MAX_RESPONSE_BYTES", 10_000)
    server = FalseServer(b"x" * 1_000, 1_000)
    with pytest.raises(ModelServerDown):
        await describe(server)
    assert server.read <= 11_000


@pytest.mark.anyio
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
async def test_a_packed_answer_is_not_read(encoding: str) -> None:
    """A few of its bytes can be a gigabyte."""
    server = FalseServer(gzip.compress(b"0" * 1_000_000), 1, content_encoding=encoding)
    with pytest.raises(ModelServerDown):
        await describe(server)
    assert server.read == 0
