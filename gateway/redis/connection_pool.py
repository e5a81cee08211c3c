"""A pool of connections on which scripts run for small batches.

The connections are redis-py's own, without its client: that does so much around a command (statistics of the pool, a
check of the connection, a task for each timeout) that a call took 210 us and now takes 160, half of the processor's
time.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Connection, Redis
from redis.exceptions import RedisError

from gateway.redis.scripts import run_script
from gateway.timeouts import io_timeout
from history.redis_schema import Argument

FRESH_SECONDS = 0.05
"""A connection that was used less long ago is not checked, which takes a turn of the loop: no Redis restarts faster."""


class ScriptConnectionPool:
    """Grows to as many connections as there are calls at once; each serves one call after the other."""

    def __init__(self, redis: Redis, timeout: float) -> None:
        """Takes a client without a timeout of its own, whose connections are used, and the timeout of each call."""
        self._pool = redis.connection_pool
        self._timeout = timeout
        self._idle: list[tuple[Connection, float]] = []

    async def run(self, script: str, arguments: Sequence[Argument]) -> Any:  # noqa: ANN401 - a script's own
        """What a script returns.

        Raises:
            RedisError, OSError: Redis does not answer in time, or refuses.
        """
        async with io_timeout(self._timeout):
            return await run_script(self._reply, script, arguments)

    async def ping(self) -> None:
        """Returns where Redis answers in time.

        Raises:
            RedisError, OSError: it does not.
        """
        async with io_timeout(self._timeout):
            await self._reply("PING")

    async def aclose(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            connection, _ = self._idle.pop()
            await connection.disconnect()

    async def _reply(self, *command: Argument) -> Any:  # noqa: ANN401 - any reply of Redis
        """Never sent twice: rows without an id would count again. One that failed closes, and opens when next used."""
        connection, since = self._idle.pop() if self._idle else (self._pool.make_connection(), math.inf)  # type: ignore[no-untyped-call]
        try:
            if time.monotonic() - since > FRESH_SECONDS:
                await _check(connection)
            await connection.send_packed_command(connection.pack_command(*command), check_health=False)
            return await connection.read_response()
        finally:
            self._idle.append((connection, time.monotonic()))


async def _check(connection: Connection) -> None:
    """Closes a connection that Redis has ended while it was idle, or on which an unexpected reply has arrived."""
    try:
        ended = await connection.can_read_destructive()  # type: ignore[no-untyped-call]
    except (RedisError, OSError):
        ended = True
    if ended:
        await connection.disconnect(nowait=True)
