"""Several processes on one port."""

import socket

import pytest

from gateway.processes.sockets import bind, reserve
from tests.gateway.serving_http import free_port

HOST = "127.0.0.1"


def test_a_port_is_taken_and_takes_no_connection() -> None:
    """Until one listens, callers are refused; any free port will do, and the processes bind the same."""
    (kept,) = reserve(HOST, 0)
    with kept:
        port = kept.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port), timeout=1)
        (own,) = bind(HOST, port)
        with own:
            own.listen()
            socket.create_connection((HOST, port), timeout=5).close()


def test_two_gateways_do_not_share_a_port() -> None:
    """Where the processes of one listen, another one does not begin."""
    port = free_port()
    (one,) = bind(HOST, port)
    with one:
        one.listen()
        with pytest.raises(OSError, match="in use"):
            reserve(HOST, port)


def test_connections_are_spread() -> None:
    """Of a hundred at once each of two sockets has some; when one is closed, the other has all that come."""
    port = free_port()
    one, other = (bind(HOST, port)[0] for _ in range(2))
    for each in (one, other):
        each.listen(200)
        each.setblocking(False)
    with one, other:
        callers = [socket.create_connection((HOST, port), timeout=5) for _ in range(100)]
        assert min(accepted(one), accepted(other)) > 10
        one.close()
        callers += [socket.create_connection((HOST, port), timeout=5) for _ in range(20)]
        assert accepted(other) == 20
    for caller in callers:
        caller.close()


def accepted(listener: socket.socket) -> int:
    """Takes all connections that wait; how many they were."""
    for count in range(1000):
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
    raise AssertionError
