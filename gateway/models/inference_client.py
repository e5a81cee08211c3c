"""The one place in the gateway that knows TorchServe: its inference port, and nothing of its management.

Every call names the version (`/predictions/{model}/{version}`): TorchServe's own default version is not durable.
Every answer is checked before it is believed: whole frame, same version, same contract, one probability a row.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import httpx
import numpy as np
from httpx_aiohttp import AiohttpTransport
from numpy.typing import NDArray

from contract.description import Description, DescriptionError
from contract.frame import DESCRIBE, Frame, FrameError
from environment.bounded_transport import AsyncBoundedTransport
from gateway.http.problems import DeadlineExceeded, ModelServerDown, ModelServerWrong
from gateway.models.renewing_transport import RenewingTransport
from gateway.models.retry_budget import RetryBudget
from gateway.settings import GatewaySettings

HEADERS = {"content-type": "application/octet-stream"}
SKIPPED_HEADERS = ("Accept", "Accept-Encoding", "User-Agent")
"""Each header costs a TorchServe worker four system calls."""
FIRST_ATTEMPT_SHARE = 0.25
"""Of the timeout: how long the first attempt waits for a worker that may hang, before another worker is asked."""
RETRY_SECONDS = 0.05
"""Before a second attempt: a moment in which TorchServe sees that a worker has ended. Chosen, not measured."""
MAX_RESPONSE_BYTES = 8_000_000
"""Largest response that is read: a description with its golden rows is some 100 kB, a block's probabilities less."""
BLOCK_BYTES = 4_000_000
"""However wide the matrix is, a block stays under TorchServe's default limit of 6.5 MB for a request."""
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The transport wants a context of its own, which it does not use: the session has one, made once for all of them.
To read the system's authorities held up the event loop for 50 to 300 ms, each time that connections were renewed."""


class InferenceClient:
    """TorchServe's inference port."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        model_name: str,
        block_rows: int,
        connections: int,
        retries: RetryBudget | None = None,
    ) -> None:
        """Takes a client whose base URL is the inference address; without a budget nothing is retried."""
        self._client = client
        self._model_name = model_name
        self._block_rows = block_rows
        self._slots = asyncio.Semaphore(connections)
        self._retries = retries
        timeout = client.timeout.as_dict()
        self._full_timeout = {"timeout": timeout}
        self._first_attempt = {"timeout": {name: each and each * FIRST_ATTEMPT_SHARE for name, each in timeout.items()}}

    async def describe(self, version: int) -> Description:
        """What a version says of itself.

        Raises:
            ModelServerDown: it cannot be reached or has no worker for the version.
            ModelServerWrong: the answer is no description of that version.
        """
        response = await self._post(version, DESCRIBE)
        try:
            description = Description.from_bytes(response)
        except DescriptionError:
            raise ModelServerWrong from None
        if description.version != version:
            raise ModelServerWrong
        return description

    async def score(self, version: int, fingerprint: str, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of fraud for a matrix of shape (rows, width): float32, shape (rows,).

        Large matrices go in blocks, several at a time, so that every worker has one.

        Raises:
            ModelServerDown: it cannot be reached or has no worker for the version.
            ModelServerWrong: its answer is not one probability of that version for each row.
        """
        if not len(matrix):
            return np.empty(0, dtype=np.float32)
        rows = min(self._block_rows, max(1, BLOCK_BYTES // matrix[:1].nbytes))
        blocks = [Frame(version, fingerprint, matrix[at : at + rows]) for at in range(0, len(matrix), rows)]
        if len(blocks) == 1:
            return await self._score_block(blocks[0])
        return np.concatenate(await self._score_blocks(blocks))

    async def _score_blocks(self, blocks: list[Frame]) -> list[NDArray[np.float32]]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._score_block(block)) for block in blocks]
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _score_block(self, block: Frame) -> NDArray[np.float32]:
        async with self._slots:
            response = await self._post_with_retry(block.version, block.to_bytes())
        try:
            reply = Frame.from_bytes(response)
        except FrameError:
            raise ModelServerWrong from None
        if not _is_reply_to(reply, block):
            raise ModelServerWrong
        return reply.values[:, 0]

    async def _post_with_retry(self, version: int, body: bytes) -> bytes:
        """Scoring changes nothing, so a block whose worker ended or hangs is sent to another worker, once.

        Without a retry to spend, the first attempt has the whole timeout: when all workers are slow, giving up early
        would fail what is about to be answered.
        """
        if self._retries is None:
            return await self._post(version, body)
        self._retries.record_attempt()
        if not self._retries.is_available:
            return await self._post(version, body)
        try:
            return await self._post(version, body, self._first_attempt)
        except (ModelServerDown, DeadlineExceeded):
            if not self._retries.try_acquire():
                raise
        await asyncio.sleep(RETRY_SECONDS)
        return await self._post(version, body)

    async def _post(self, version: int, body: bytes, extensions: Mapping[str, Any] | None = None) -> bytes:
        """One attempt; `extensions` are httpx's and hold its timeout, that of the client by default."""
        url = self._client.base_url.join(f"/predictions/{self._model_name}/{version}")
        # Not client.post: it adds four headers of its own.
        request = httpx.Request("POST", url, headers=HEADERS, content=body, extensions=extensions or self._full_timeout)
        try:
            response = await self._client.send(request)
        except (httpx.ReadTimeout, httpx.PoolTimeout):
            raise DeadlineExceeded from None
        except (httpx.HTTPError, aiohttp.ClientError):  # the transport does not translate all of its own
            raise ModelServerDown from None
        if response.status_code == httpx.codes.CONFLICT:  # A frame of another version, contract or width.
            raise ModelServerWrong
        if response.status_code != httpx.codes.OK:
            raise ModelServerDown
        return response.content


def _is_reply_to(reply: Frame, request: Frame) -> bool:
    """Whether a reply is of the version and contract that was asked, with a probability for each row."""
    same = (reply.version, reply.fingerprint) == (request.version, request.fingerprint)
    # The comparison is false for NaN, which is no probability either.
    return (
        same
        and reply.values.shape == (len(request.values), 1)
        and bool(np.all((reply.values >= 0) & (reply.values <= 1)))
    )


@asynccontextmanager
async def connect_model_server(
    settings: GatewaySettings, transport: httpx.AsyncBaseTransport | None = None, connections: int | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client for the inference port; `transport` replaces the network, `connections` the number in the settings."""
    limit = connections or settings.model_server_connections
    async with httpx.AsyncClient(
        base_url=settings.model_server_url,
        timeout=settings.deadline_seconds,
        trust_env=False,  # A proxy that the environment names must not see transactions.
        transport=AsyncBoundedTransport(
            transport or RenewingTransport(partial(_network, limit), 2 * settings.deadline_seconds), MAX_RESPONSE_BYTES
        ),
    ) as client:
        yield client


def _network(connections: int) -> httpx.AsyncBaseTransport:
    return AiohttpTransport(NO_AUTHORITIES, client=partial(_session, connections))


def _session(connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections), skip_auto_headers=SKIPPED_HEADERS)
