"""Serves the app in this process."""

import gc
import socket
import sys

import uvicorn

from gateway import allocator
from gateway.app import create_app
from gateway.drain import Drain, DrainingServer
from gateway.http.protocol import GuardedProtocol
from gateway.processes.states import ProcessStates
from gateway.settings import DRAIN_SECONDS, GatewaySettings

SWITCH_SECONDS = 0.0005
"""After so long a thread that computes gives way to the event loop. With Python's own 5 ms a request beside a large
file waited for 14 ms of that file's computing at the 99th percentile, with this for 7; the file takes no longer."""

COLLECTED_AFTER = 5_000
"""New objects after which Python looks for cycles among them: a batch of 32 requests makes and drops as many."""


def serve(
    settings: GatewaySettings,
    drain: Drain,
    sockets: list[socket.socket] | None = None,
    states: ProcessStates | None = None,
) -> None:
    """Runs until SIGTERM or SIGINT, and then drains.

    Args:
        settings: of this process.
        drain: of this process.
        sockets: that it listens on; None opens the one of the settings.
        states: of this process and the others on its port; None where it is the only one.
    """
    allocator.set_up()
    sys.setswitchinterval(SWITCH_SECONDS)
    app = create_app(settings, drain=drain, states=states)
    _set_up_collector()
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=GuardedProtocol,  # on httptools: h11 is four times slower and answers a smuggled second request
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # Nobody here asks for a caller's address.
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    DrainingServer(config, drain).run(sockets)


def _set_up_collector() -> None:
    """Lets Python's collector pass over what was imported, which is never freed: it took a tenth of the processor."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER, 20, 20)
