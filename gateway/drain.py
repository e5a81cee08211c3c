"""How the gateway ends: it says so, goes on until a load balancer has noticed, then takes no more and answers the rest.

uvicorn alone stops listening at once, so that whoever a balancer still sends here is refused; and it ends by the
signal's own exit status, where one that answered everything should end with 0.
"""

import signal
import time
from dataclasses import dataclass
from types import FrameType

import uvicorn

from gateway.logs import log

DRAIN_SECONDS = 15
"""For requests that were taken, counted from when no more are."""
CLOSE = (b"connection", b"close")


@dataclass(slots=True)
class Drain:
    """Whether this gateway ends, and whether it has been said for long enough.

    Attributes:
        delay: seconds between saying that it ends and taking no more requests.
    """

    delay: float = 0.0
    _until: float | None = None

    @property
    def begun(self) -> bool:
        """Whether the gateway ends."""
        return self._until is not None

    @property
    def over(self) -> bool:
        """Whether it takes no more requests."""
        return self._until is not None and time.monotonic() >= self._until

    def begin(self) -> None:
        """The gateway ends; said again, without further delay."""
        self._until = time.monotonic() + (0.0 if self.begun else self.delay)


class Server(uvicorn.Server):
    """uvicorn, which ends by way of a drain."""

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        """Takes what to serve, and the drain that the app asks too."""
        super().__init__(config)
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as uvicorn has it
        """SIGTERM and SIGINT begin the drain; a second one ends its delay, and one more Ctrl-C waits for nobody."""
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
        """From now on each answer closes its connection: the next request comes over a new one, and goes elsewhere."""
        if CLOSE not in self.config.encoded_headers:
            log.info("draining", seconds=self._drain.delay)
            self.config.encoded_headers.append(CLOSE)
