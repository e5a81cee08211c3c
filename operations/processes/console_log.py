"""The log of `fraud up` and `fraud keep`: one logger, and a handler that prints its lines to the terminal."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator

from rich.console import Console

log = logging.getLogger("fraud")


class ConsoleHandler(logging.Handler):
    """Prints each record after its time, on the event loop: no daemon thread may hold the output when it is cut off."""

    def __init__(self, console: Console) -> None:
        """Must be made on the event loop."""
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        self._console = console
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Prints it; from another thread once the loop comes to it, and not at all when the loop has ended."""
        text = self.format(record)
        if threading.get_ident() == self._thread:
            print_line(self._console, text)
            return
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(print_line, self._console, text)


@contextlib.contextmanager
def logging_to(console: Console) -> Iterator[None]:
    """Prints the log to a terminal while the block lasts."""
    handler = ConsoleHandler(console)
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def print_line(console: Console, text: str) -> None:
    """Prints a line; the terminal may be gone, and that must stop nothing (rich makes a broken pipe a SystemExit)."""
    with contextlib.suppress(OSError, ValueError, SystemExit):
        console.print(text, soft_wrap=True, highlight=False, markup=False)
