"""Stores what was answered, in Redis: labels that come in days later are counted against it.

That happens a moment after the reply, for many requests at once, in the background.
"""

import asyncio
from collections import deque

import numpy as np
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contract.decision import Decision
from gateway.logs import log
from gateway.models.score_result import ScoreResult
from history.redis_schema import ANSWERS, encode_answers

WRITE_INTERVAL_SECONDS = 0.25
MAX_PENDING_ROWS = 500_000
"""Rows that are kept while Redis does not answer; of more, the oldest are dropped."""


class AnswerWriter:
    """Collects answers and writes them."""

    def __init__(self, redis: Redis | None, known_seconds: int) -> None:
        """Takes a client with a timeout of its own, or None without Redis; and how long answers are stored."""
        self._redis = redis
        self._known_seconds = known_seconds
        self._pending = deque[tuple[bytes, ScoreResult]]()
        self._rows = 0

    def add(self, block: bytes, scored: ScoreResult) -> None:
        """Takes the answers to a request, whose transactions name this block in Redis."""
        if self._redis is None:
            return
        self._pending.append((block, scored))
        self._rows += len(scored.decisions)
        while self._rows > MAX_PENDING_ROWS and len(self._pending) > 1:
            self._rows -= len(self._pending.popleft()[1].decisions)

    async def write_periodically(self) -> None:
        """Writes for ever, at an interval, and once more at the end."""
        try:
            while True:
                await asyncio.sleep(WRITE_INTERVAL_SECONDS)
                await self.write()
        finally:
            await self.write()

    async def write(self) -> None:
        """Writes what is pending; what cannot be written stays pending."""
        if self._redis is None or not self._pending:
            return
        pending, self._pending, self._rows = self._pending, deque(), 0
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for block, scored in pending:
                    pipeline.set(ANSWERS + block, _encode(scored), ex=self._known_seconds)
                await pipeline.execute()
        except (RedisError, OSError) as error:
            log.warning("answers not written", reason=type(error).__name__)
            for block, scored in pending:
                self.add(block, scored)


def _encode(scored: ScoreResult) -> bytes:
    """What is stored of the answer to each row."""
    flagged = np.array([decision is not Decision.APPROVE for decision in scored.decisions], dtype=np.bool_)
    return encode_answers(flagged, np.asarray(scored.versions, dtype=np.int64))
