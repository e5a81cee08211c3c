"""Connections on which scripts run for small batches, with nothing around them.

They are redis-py's own. Its client does so much around a command (a pool's statistics, a look whether the connection
is there, a task for each timeout) that a call took 210 us and now takes 160, half of the processor's time.
"""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Connection, Redis
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError

from contract.remembered import Argument
from gateway.patience import within
from gateway.scripts import sha

Command = tuple[Argument, ...]


class Lanes:
    """As many connections as there are calls at once; each serves one call after the other."""

    def __init__(self, redis: Redis) -> None:
        """Takes a client for how it connects; one without a timeout of its own, since each call brings its own."""
        self._pool = redis.connection_pool
        self._idle: list[Connection] = []

    async def run(self, script: str, arguments: Sequence[Argument], patience: float) -> Any:  # noqa: ANN401 - a script's own
        """What a script returns within so many seconds.

        Raises:
            RedisError, OSError: Redis does not answer in time, or refuses.
        """
        async with within(patience):
            try:
                return await self._reply("EVALSHA", sha(script), 0, *arguments)
            except NoScriptError:
                return await self._reply("EVAL", script, 0, *arguments)

    async def aclose(self) -> None:
        """Closes what is idle."""
        while self._idle:
            await self._idle.pop().disconnect()

    async def _reply(self, *command: Argument) -> Any:  # noqa: ANN401 - likewise
        """Once more where a connection was lost while it lay idle: Redis was restarted, and all of them are."""
        if not self._idle:
            return await self._through(self._new(), command)
        try:
            return await self._through(self._idle.pop(), command)
        except Disconnected:
            await self.aclose()
            return await self._through(self._new(), command)

    def _new(self) -> Connection:
        made: Connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return made

    async def _through(self, connection: Connection, command: Command) -> Any:  # noqa: ANN401 - likewise
        """One that failed has closed itself, and opens with its next command."""
        try:
            await connection.send_packed_command(connection.pack_command(*command), check_health=False)
            return await connection.read_response()
        finally:
            self._idle.append(connection)
