"""The one place in the gateway that knows TorchServe: its inference port, and nothing of its management.

Every call names the version (`/predictions/{model}/{version}`): TorchServe's own default version is not durable.
Every answer is checked before it is believed: whole frame, same version, same contract, one probability a row.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace

import httpx
import numpy as np
from numpy.typing import NDArray

from contract.description import Description, DescriptionError
from contract.frame import DESCRIBE, Frame, FrameError
from environment.bounded_transport import AsyncBoundedTransport
from gateway.http.problems import DeadlineExceeded, ModelServerDown, ModelServerWrong
from gateway.models.frame_channel import FrameChannel, HttpxChannel, SocketChannel
from gateway.models.recent_calls import RecentCalls
from gateway.models.retry_budget import RetryBudget
from gateway.settings import GatewaySettings

FIRST_ATTEMPT_SHARE = 0.25
"""Of the timeout: how long the first attempt waits for a worker that may hang, before another worker is asked."""
RETRY_SECONDS = 0.05
"""Before a second attempt: a moment in which TorchServe sees that a worker has ended. Chosen, not measured."""
MAX_RESPONSE_BYTES = 8_000_000
"""Largest response that is read: a description with its golden rows is some 100 kB, a block's probabilities less."""
SMALL_BLOCK_ROWS = 1024
"""Of a large matrix, while others wait: a worker is done with it in some milliseconds."""
BLOCK_BYTES = 4_000_000
"""However wide the matrix is, a block stays under TorchServe's default limit of 6.5 MB for a request."""


class InferenceClient:
    """TorchServe's inference port."""

    def __init__(  # noqa: PLR0913, PLR0917 - the composition root's one call
        self,
        channel: FrameChannel,
        model_name: str,
        block_rows: int,
        connections: int,
        retries: RetryBudget | None = None,
        recent: RecentCalls | None = None,
    ) -> None:
        """Takes the way to the inference port; without a budget nothing is retried."""
        self._channel = channel
        self._model_name = model_name
        self._block_rows = block_rows
        self._connections = connections
        self._slots = asyncio.Semaphore(connections)
        self._retries = retries
        self._recent = recent or RecentCalls()

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

        Large matrices go in blocks, several at a time, so that every worker has one; in small blocks, one at a time,
        while others ask for the scores of a few rows: these wait in TorchServe behind what is there before them.

        Raises:
            ModelServerDown: it cannot be reached or has no worker for the version.
            ModelServerWrong: its answer is not one probability of that version for each row.
        """
        if not len(matrix):
            return np.empty(0, dtype=np.float32)
        rows = min(self._block_rows, max(1, BLOCK_BYTES // matrix[:1].nbytes))
        if len(matrix) <= self._most_rows(rows):
            if len(matrix) <= SMALL_BLOCK_ROWS:
                self._recent.note()
            return await self._score_block(Frame(version, fingerprint, matrix))
        return await self._score_blocks(Frame(version, fingerprint, matrix), rows)

    async def _score_blocks(self, whole: Frame, rows: int) -> NDArray[np.float32]:
        scores = np.empty(len(whole.values), dtype=np.float32)
        blocks = self._blocks(len(scores), rows)

        async def score_next(*, first: bool) -> None:
            while (first or not self._recent.any) and (block := next(blocks, None)):
                scores[block] = await self._score_block(replace(whole, values=whole.values[block]))

        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._connections):
                    group.create_task(score_next(first=number == 0))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        return scores

    def _blocks(self, rows: int, limit: int) -> Iterator[slice]:
        """The blocks of a large matrix, each as large as it may be when it is taken."""
        at = 0
        while at < rows:
            end = at + self._most_rows(limit)
            yield slice(at, end)
            at = end

    def _most_rows(self, limit: int) -> int:
        return min(limit, SMALL_BLOCK_ROWS) if self._recent.any else limit

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
            return await self._post(version, body, FIRST_ATTEMPT_SHARE)
        except (ModelServerDown, DeadlineExceeded):
            if not self._retries.try_acquire():
                raise
        await asyncio.sleep(RETRY_SECONDS)
        return await self._post(version, body)

    async def _post(self, version: int, body: bytes, share: float = 1.0) -> bytes:
        """One attempt, which may take this share of the timeout."""
        path = f"/predictions/{self._model_name}/{version}"
        status, content = await self._channel.post(path, body, share * self._channel.timeout_seconds)
        if status == httpx.codes.CONFLICT:  # A frame of another version, contract or width.
            raise ModelServerWrong
        if status != httpx.codes.OK:
            raise ModelServerDown
        return content


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
    settings: GatewaySettings, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[FrameChannel]:
    """A way to the inference port; `transport` replaces the network."""
    seconds = settings.deadline_seconds
    if transport is None:
        with closing(SocketChannel(settings.model_server_url, seconds, MAX_RESPONSE_BYTES)) as channel:
            yield channel
    else:
        bounded = AsyncBoundedTransport(transport, MAX_RESPONSE_BYTES)
        async with httpx.AsyncClient(base_url=settings.model_server_url, trust_env=False, transport=bounded) as client:
            yield HttpxChannel(client, seconds)
