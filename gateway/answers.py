"""What was answered, on its way to Redis: labels that come in days later are held against it.

It is written a moment after the reply, for many requests at once; nobody waits for it.
"""

import asyncio
from collections import deque

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contract.decision import Decision
from contract.remembered import ANSWER, ANSWERED, FLAGGED, ID_BYTES, PASSED
from gateway.logs import log
from gateway.scored import Scored
from gateway.scripts import evaluated_each

EVERY_SECONDS = 0.25
MOST_WAITING = 500_000
"""Rows that wait for a Redis that does not answer; of more, those that came first are forgotten."""
BLOCK_ROWS = 2_000


class Answers:
    """Answers that wait to be written."""

    def __init__(self, redis: Redis | None) -> None:
        """Takes a client whose patience is its own; None where no Redis is configured."""
        self._redis = redis
        self._waiting = deque[tuple[bytes, bytes]]()
        self._rows = 0

    def add(self, ids: bytes, rows: NDArray[np.int64], scored: Scored) -> None:
        """Takes the answers of these rows; `ids` are their digests."""
        if self._redis is None:
            return
        answers = np.empty(len(rows), ANSWER)
        decisions, versions = scored.decisions, scored.versions
        answers["answer"] = [PASSED if decisions[row] is Decision.APPROVE else FLAGGED for row in rows.tolist()]
        answers["version"] = [versions[row] for row in rows.tolist()]
        self._waiting.append((ids, answers.tobytes()))
        self._rows += len(rows)
        while self._rows > MOST_WAITING:
            self._rows -= len(self._waiting.popleft()[0]) // ID_BYTES

    async def keep_writing(self) -> None:
        """Writes for ever, and once more at the end."""
        try:
            while True:
                await asyncio.sleep(EVERY_SECONDS)
                await self.write()
        finally:
            await self.write()

    async def write(self) -> None:
        """Writes what waits; what cannot be written waits on."""
        if self._redis is None or not self._waiting:
            return
        waiting, self._waiting = self._waiting, deque()
        ids, answers = (b"".join(parts) for parts in zip(*waiting, strict=True))
        try:
            await evaluated_each(self._redis, ANSWERED, _calls(ids, answers))
        except (RedisError, OSError) as error:
            log.warning("answers not written", reason=type(error).__name__)
            self._waiting.appendleft((ids, answers))
        else:
            self._rows -= len(ids) // ID_BYTES


def _calls(ids: bytes, answers: bytes) -> list[tuple[bytes, bytes]]:
    rows, size = len(ids) // ID_BYTES, ANSWER.itemsize
    return [
        (ids[at * ID_BYTES : (at + BLOCK_ROWS) * ID_BYTES], answers[at * size : (at + BLOCK_ROWS) * size])
        for at in range(0, rows, BLOCK_ROWS)
    ]
