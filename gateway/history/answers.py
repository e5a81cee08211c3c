"""What was answered, on its way to Redis: labels that come in days later are held against it.

It is written a moment after the reply, for many requests at once; nobody waits for it.
"""

import asyncio
from collections import deque

import numpy as np
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contract.decision import Decision
from gateway.logs import log
from gateway.models.score_result import ScoreResult
from history.redis_schema import ANSWER, ANSWERS, FLAGGED, PASSED

EVERY_SECONDS = 0.25
MOST_WAITING = 500_000
"""Rows that wait for a Redis that does not answer; of more, those that came first are forgotten."""


class AnswerWriter:
    """Answers that wait to be written."""

    def __init__(self, redis: Redis | None, known_seconds: int) -> None:
        """Takes a client with a timeout of its own, None where no Redis is configured; and how long they are kept."""
        self._redis = redis
        self._known_seconds = known_seconds
        self._waiting = deque[tuple[bytes, ScoreResult]]()
        self._rows = 0

    def add(self, block: bytes, scored: ScoreResult) -> None:
        """Takes what was answered to a request, whose transactions Redis knows by this block."""
        if self._redis is None:
            return
        self._waiting.append((block, scored))
        self._rows += len(scored.decisions)
        while self._rows > MOST_WAITING and len(self._waiting) > 1:
            self._rows -= len(self._waiting.popleft()[1].decisions)

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
        waiting, self._waiting, self._rows = self._waiting, deque(), 0
        try:
            await self._put(self._redis, waiting)
        except (RedisError, OSError) as error:
            log.warning("answers not written", reason=type(error).__name__)
            for block, scored in waiting:
                self.add(block, scored)

    async def _put(self, redis: Redis, waiting: deque[tuple[bytes, ScoreResult]]) -> None:
        async with redis.pipeline(transaction=False) as pipeline:
            for block, scored in waiting:
                pipeline.set(ANSWERS + block, _answers(scored), ex=self._known_seconds)
            await pipeline.execute()


def _answers(scored: ScoreResult) -> bytes:
    """An ANSWER for each row."""
    answers = np.empty(len(scored.decisions), ANSWER)
    answers["answer"] = [PASSED if decision is Decision.APPROVE else FLAGGED for decision in scored.decisions]
    answers["version"] = scored.versions
    return answers.tobytes()
