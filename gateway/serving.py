"""Serves the app in this process."""

import asyncio
import gc
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

import uvicorn

from gateway import allocator
from gateway.app import create_app
from gateway.drain import Drain, DrainingServer
from gateway.http.passed_connections import PassedProtocol, PassingProtocol
from gateway.http.protocol import GuardedProtocol
from gateway.processes.connection_passing import ConnectionReceiver, ConnectionSender
from gateway.processes.states import ProcessStates
from gateway.settings import DRAIN_SECONDS, GatewaySettings

SWITCH_SECONDS = 0.0005
"""After so long a thread that computes gives way to the event loop. With Python's own 5 ms a request beside a large
file waited for 14 ms of that file's computing at the 99th percentile, with this for 7; the file takes no longer."""

COLLECTED_AFTER = 5_000
"""New objects after which Python looks for cycles among them: a batch of 32 requests makes and drops as many."""


def serve(settings: GatewaySettings, drain: Drain) -> None:
    """Serves alone, until SIGTERM or SIGINT, and then drains."""
    DrainingServer(_config(settings, drain, None, GuardedProtocol), drain).run()


def serve_connections(
    settings: GatewaySettings,
    drain: Drain,
    states: ProcessStates,
    listeners: list[socket.socket],
    entry: socket.socket | None,
) -> None:
    """Serves what connects to one process of several.

    Args:
        settings: of this process.
        drain: of this process.
        states: of all processes.
        listeners: that it listens on.
        entry: where connections go that begin a large body; None where they stay.
    """
    protocol = partial(PassingProtocol, sender=ConnectionSender(entry)) if entry else GuardedProtocol
    DrainingServer(_config(settings, drain, states, protocol), drain).run(listeners)


def serve_large_bodies(settings: GatewaySettings, drain: Drain, states: ProcessStates, exit_: socket.socket) -> None:
    """Serves the connections that the other processes pass on, and listens nowhere."""
    _LargeBodyServer(_config(settings, drain, states, GuardedProtocol), drain, exit_).run([])


class _LargeBodyServer(DrainingServer):
    """A server of connections that others have taken."""

    def __init__(self, config: uvicorn.Config, drain: Drain, exit_: socket.socket) -> None:
        super().__init__(config, drain)
        self._receiver = ConnectionReceiver(exit_, self._adopt)
        self._adopting = set[asyncio.Task[Any]]()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """From the end of it on connections are taken."""
        await super().startup(sockets)
        self._receiver.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes what waits, and ends when all is answered."""
        self._receiver.stop()
        await asyncio.gather(*self._adopting, return_exceptions=True)
        await super().shutdown(sockets)

    def _adopt(self, connection: socket.socket, received: bytes) -> None:
        task = asyncio.create_task(self._serve_passed(connection, received))
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    async def _serve_passed(self, connection: socket.socket, received: bytes) -> None:
        state = self.lifespan.state
        protocol = partial(
            PassedProtocol, config=self.config, server_state=self.server_state, app_state=state, received=received
        )
        with suppress(OSError):  # The caller has gone.
            await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)


def _config(
    settings: GatewaySettings, drain: Drain, states: ProcessStates | None, protocol: Callable[..., asyncio.Protocol]
) -> uvicorn.Config:
    allocator.set_up()
    sys.setswitchinterval(SWITCH_SECONDS)
    app = create_app(settings, drain=drain, states=states)
    _set_up_collector()
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        # On httptools: h11 is four times slower and answers a smuggled second request.
        http=cast("type[asyncio.Protocol]", protocol),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # Nobody here asks for a caller's address.
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def _set_up_collector() -> None:
    """Lets Python's collector pass over what was imported, which is never freed: it took a tenth of the processor."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER, 20, 20)
