"""Connections that one process of a gateway passes on to another: the socket itself, and what has been read from it.

All processes of a gateway inherit one pair of sockets. Into one end those that take connections put what they pass on,
from the other those that serve large bodies take it, whichever is free first. What waits there outlives a process that
ends.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable

QUEUE_BYTES = 1_048_576
"""Of what was read and waits to be taken, three or four connections that sent as much as one read takes."""
RETRY_SECONDS = 0.005
"""Between two looks whether there is room: the time that an event loop takes which serves a large body."""
MAX_MESSAGE_BYTES = 524_288
"""A head has 65,536 bytes at most, one read of the event loop 256,000."""


def open_queue() -> tuple[socket.socket, socket.socket]:
    """The end that takes in, and the end that gives out. Each message keeps its bounds."""
    entry, exit_ = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    entry.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE_BYTES)
    for end in (entry, exit_):
        end.setblocking(False)
    return entry, exit_


class ConnectionSender:
    """Passes connections on."""

    def __init__(self, entry: socket.socket) -> None:
        self._entry = entry
        self._offers = deque[Callable[[], bool]]()

    def try_send(self, connection: int, received: bytes) -> bool:
        """Passes a connection on by its file descriptor; False where there is no room now.

        Raises:
            OSError: it cannot be passed on.
        """
        try:
            socket.send_fds(self._entry, [received], [connection])
        except BlockingIOError:
            return False
        return True

    def wait_for_room(self, offer: Callable[[], bool]) -> None:
        """Calls `offer` again and again, those that came first before, until it is True.

        However many wait, one of them is called in vain.
        """
        self._offers.append(offer)
        if len(self._offers) == 1:
            self._retry_later()

    def _retry_later(self) -> None:
        asyncio.get_running_loop().call_later(RETRY_SECONDS, self._retry)

    def _retry(self) -> None:
        while self._offers and self._offers[0]():
            self._offers.popleft()
        if self._offers:
            self._retry_later()


class ConnectionReceiver:
    """Takes connections that were passed on, while it is started."""

    def __init__(self, exit_: socket.socket, adopt: Callable[[socket.socket, bytes], None]) -> None:
        """Takes what to do with a connection and with what was read from it."""
        self._exit = exit_
        self._adopt = adopt

    def start(self) -> None:
        """From now on, in the running event loop."""
        asyncio.get_running_loop().add_reader(self._exit, self._receive)

    def stop(self) -> None:
        """Takes what waits, and then no more."""
        asyncio.get_running_loop().remove_reader(self._exit)
        while self._receive():
            pass

    def _receive(self) -> bool:
        """Takes one; False where there is none, as when another process was quicker."""
        try:
            received, connections, *_ = socket.recv_fds(self._exit, MAX_MESSAGE_BYTES, 1)
        except BlockingIOError:
            return False
        for connection in connections:
            self._adopt(socket.socket(fileno=connection), received)
        return bool(received)
