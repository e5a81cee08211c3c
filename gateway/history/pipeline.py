"""The commands of a large batch, pipelined over one connection that a thread waits on.

While another thread reads a file or computes, the event loop runs only every 5 ms: forty commands one after the other
took twice as long on it. Here all are sent before the first reply is awaited, and the thread sleeps in the kernel
meanwhile.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.connection import Connection
from redis.exceptions import NoScriptError, ResponseError

from gateway.redis.scripts import sha
from history.journal import APPLY, REGISTER
from history.keyed_hash import UNKEYED, HistoryKey
from history.redis_schema import ENTER, Argument, Arguments
from history.session import BatchSession

MAX_READS_AHEAD = 3
"""Reads that are sent before the first reply is read: replies that wait in Redis take its memory."""
SENT_BYTES = 262_144
"""Of one `sendall`: Python applies the timeout to the whole call, however fast the other side receives."""

States = Sequence[bytes | None]


class BatchPipeline:
    """Sends one large batch to Redis, one call after the other."""

    def __init__(self, redis: Redis, key: HistoryKey = UNKEYED) -> None:
        """Takes a blocking client, whose timeout holds for each read: the kernel measures it.

        So what this process computes in between, and how long its threads wait for each other, does not count. `key` is
        what the digests in Redis must be made with.
        """
        self._redis = redis
        self._key = key

    def read(self, session: BatchSession) -> Sequence[States]:
        """The states of a large batch.

        Raises:
            RedisError, OSError: as all others here: Redis cannot be used.
        """
        return self._reads(session.state_reads())

    def enter(self, session: BatchSession) -> None:
        """Enters a batch, or looks it up. What has been claimed when this fails will be applied by RECOVER."""
        while session.has_unclaimed:
            self._claim(session)
            while calls := session.apply_calls():
                session.receive_applied(self.scripts(APPLY, calls))
            self.look_up(session)
        self.look_up(session)

    def look_up(self, session: BatchSession) -> None:
        """What Redis has of known rows, and of all rows of a batch that does not enter."""
        while calls := session.entry_calls():
            session.receive_entries(self.scripts(self._key.guarded(ENTER), calls))
            session.receive_chunks(self._reads(session.chunk_reads()))

    def scripts(self, script: str, calls: Sequence[Arguments]) -> list[Any]:
        """The reply of a script to each call; it is sent whole where Redis does not have it, as after a restart."""
        with self._connected() as connection:
            replies = self._scripts(connection, "EVALSHA", sha(script), calls)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                replies = self._scripts(connection, "EVAL", script, calls)
        return _checked(replies)

    def _reads(self, reads: Iterable[Sequence[bytes]]) -> Sequence[States]:
        with self._connected() as connection:
            commands = (_packed(connection, "MGET", *keys) for keys in reads)
            return _checked(self._replies(connection, commands, MAX_READS_AHEAD))

    def _claim(self, session: BatchSession) -> None:
        self.scripts(self._key.guarded(REGISTER), [session.registration()])
        with self._connected() as connection:
            session.receive_claims(_checked(self._replies(connection, session.claim_commands())))

    def _scripts(self, connection: Connection, command: str, script: str, calls: Sequence[Arguments]) -> list[Any]:
        return self._replies(connection, (_packed(connection, command, script, 0, *call) for call in calls))

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        connection: Connection = self._redis.connection_pool.get_connection()
        try:
            yield connection
        except BaseException:
            connection.disconnect()  # type: ignore[no-untyped-call]  # Replies may still arrive: the next user would take them for its own.
            raise
        finally:
            self._redis.connection_pool.release(connection)

    def _replies(self, connection: Connection, commands: Iterable[bytes], ahead: int = sys.maxsize) -> list[Any]:
        """Sends each command as soon as it is made, at most `ahead` of the replies; Redis works meanwhile."""
        replies, sent = list[Any](), 0
        for command in commands:
            if sent - len(replies) == ahead:
                replies.append(self._reply(connection))
            connection.send_packed_command(_pieces(command))  # type: ignore[no-untyped-call]
            sent += 1
        return [*replies, *(self._reply(connection) for _ in range(sent - len(replies)))]

    def _reply(self, connection: Connection) -> Any:  # noqa: ANN401 - any reply of Redis
        try:
            return connection.read_response()  # type: ignore[no-untyped-call]
        except ResponseError as error:
            return error


def _packed(connection: Connection, *parts: Argument) -> bytes:
    return b"".join(connection.pack_command(*parts))  # type: ignore[no-untyped-call]


def _pieces(command: bytes) -> list[memoryview]:
    """Parts of SENT_BYTES, each of which is sent with a timeout of its own."""
    whole = memoryview(command)
    return [whole[at : at + SENT_BYTES] for at in range(0, len(whole), SENT_BYTES)]


def _checked(replies: list[Any]) -> list[Any]:
    """The replies, unless one is an error."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
