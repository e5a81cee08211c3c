"""The drain at shutdown: not ready, but serving, until load balancers have noticed; then the rest is answered.

uvicorn alone stops listening at once, so that requests which a balancer still sends are refused; and it exits with the
signal's own status, where one that answered everything should exit with 0.
"""

import signal
import time
from dataclasses import dataclass
from types import FrameType

import uvicorn

from gateway.logs import log

CLOSE = (b"connection", b"close")


@dataclass(slots=True)
class Drain:
    """Whether this gateway shuts down, and whether that has been announced for long enough.

    Attributes:
        delay: seconds between the announcement and taking no more requests.
    """

    delay: float = 0.0
    _until: float | None = None

    @property
    def begun(self) -> bool:
        """Whether the gateway shuts down."""
        return self._until is not None

    @property
    def over(self) -> bool:
        """Whether it takes no more requests."""
        return self._until is not None and time.monotonic() >= self._until

    def begin(self) -> None:
        """Begins the drain; called again, it ends the delay."""
        self._until = time.monotonic() + (0.0 if self.begun else self.delay)


class DrainingServer(uvicorn.Server):
    """A uvicorn server that drains when it is told to exit."""

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as uvicorn has it
        """SIGTERM and SIGINT begin the drain; a second one ends its delay, and one more Ctrl-C exits at once."""
        if self._drain.over and sig == signal.SIGINT:
            self.force_exit = True
        self._drain.begin()

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop listening; asked ten times a second."""
        if self._drain.begun:
            self._close_connections()
            counter = 0  # The headers of every answer are made anew.
        return await super().on_tick(counter) or self._drain.over

    def _close_connections(self) -> None:
        """Makes each answer close its connection: the next request comes over a new one, and goes elsewhere."""
        if CLOSE not in self.config.encoded_headers:
            log.info("draining", seconds=self._drain.delay)
            self.config.encoded_headers.append(CLOSE)
