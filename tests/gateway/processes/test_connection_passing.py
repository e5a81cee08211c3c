"""Passing connections on through the queue that the processes of a gateway inherit."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from gateway.http.protocol import ConnectionLimits
from gateway.processes.connection_passing import ConnectionReceiver, ConnectionSender, open_queue
from tests.timeouts import WAIT_SECONDS

ONE_READ = 256_000
"""What uvloop reads at once."""

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def queue() -> Iterator[Ends]:
    """Both ends."""
    with ExitStack() as stack:
        entry, exit_ = open_queue()
        yield stack.enter_context(entry), stack.enter_context(exit_)


def passed(entry: socket.socket, received: bytes) -> socket.socket:
    """The caller's end of a connection that was passed on."""
    ours, callers = socket.socketpair()
    with ours:
        assert ConnectionSender(entry).try_send(ours.fileno(), received)
    return callers


@pytest.mark.anyio
async def test_a_connection_goes_on_in_who_takes_it(queue: Ends) -> None:
    """With what was read from it before; who passed it on has closed it."""
    taken = asyncio.Queue[tuple[socket.socket, bytes]]()
    receiver = ConnectionReceiver(queue[1], lambda *each: taken.put_nowait(each))
    callers = [passed(queue[0], text) for text in (b"one", b"two")]
    receiver.start()
    async with asyncio.timeout(WAIT_SECONDS):
        for caller, text in zip(callers, (b"one", b"two"), strict=True):
            connection, received = await taken.get()
            with connection, caller:
                assert received == text
                connection.sendall(b"answer")
                assert caller.recv(10) == b"answer"
    receiver.stop()


@pytest.mark.anyio
async def test_what_waits_is_taken_at_the_end(queue: Ends) -> None:
    """One who stops takes what was passed on before, and nothing afterwards."""
    taken = list[bytes]()

    def take(connection: socket.socket, received: bytes) -> None:
        taken.append(received)
        connection.close()

    receiver = ConnectionReceiver(queue[1], take)
    receiver.start()
    callers = [passed(queue[0], b"before")]
    receiver.stop()
    callers.append(passed(queue[0], b"after"))
    await asyncio.sleep(0)
    assert taken == [b"before"]
    for caller in callers:
        caller.close()


def test_the_longest_head_and_one_read_fit(queue: Ends) -> None:
    """A message has room for all that may have been read of a request when its head is whole."""
    read = os.urandom(ConnectionLimits().head_bytes + ONE_READ)
    taken = list[bytes]()

    def take(connection: socket.socket, received: bytes) -> None:
        taken.append(received)
        connection.close()

    passed(queue[0], read).close()
    asyncio.run(_take_all(queue[1], take))
    assert taken == [read]


async def _take_all(exit_: socket.socket, take: object) -> None:
    receiver = ConnectionReceiver(exit_, take)  # type: ignore[arg-type]
    receiver.start()
    receiver.stop()


def test_a_full_queue_says_so(queue: Ends) -> None:
    """Nothing is passed on for which there is no room, and what is there stays whole."""
    ours, callers = socket.socketpair()
    with ours, callers:
        sent = 0
        while ConnectionSender(queue[0]).try_send(ours.fileno(), b"x" * ONE_READ):
            sent += 1
        assert sent >= 1
        sizes = list[int]()

        def take(connection: socket.socket, received: bytes) -> None:
            sizes.append(len(received))
            connection.close()

        asyncio.run(_take_all(queue[1], take))
        assert sizes == [ONE_READ] * sent
        assert ConnectionSender(queue[0]).try_send(ours.fileno(), b"again")


@pytest.mark.anyio
async def test_those_who_wait_go_in_the_order_in_which_they_came(queue: Ends) -> None:
    """While there is no room one of them is asked, not all."""
    room, asked, gone = 0, list[int](), list[int]()
    sender = ConnectionSender(queue[0])

    def offer(number: int) -> bool:
        asked.append(number)
        if len(gone) < room:
            gone.append(number)
        return number in gone

    for number in range(3):
        sender.wait_for_room(partial(offer, number))
    async with asyncio.timeout(WAIT_SECONDS):
        while len(asked) < 5:  # noqa: ASYNC110 - a timer of the sender has no event here
            await asyncio.sleep(0)
        assert set(asked) == {0}
        room = 3
        while len(gone) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert gone == [0, 1, 2]


def test_what_cannot_be_passed_on_is_an_error(queue: Ends) -> None:
    """Not a full queue: that would be waited for."""
    with pytest.raises(OSError, match="Bad file descriptor"):
        ConnectionSender(queue[0]).try_send(10_000, b"")
