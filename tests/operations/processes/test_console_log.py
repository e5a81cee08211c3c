"""The log that `fraud up` and `fraud keep` print."""

import asyncio
import io
import re

from rich.console import Console

from operations.processes.console_log import log, logging_to


def test_lines_have_their_time_and_their_order() -> None:
    """Also those of other threads, which are printed on the loop; markup in them is text."""
    out = io.StringIO()

    async def run() -> None:
        with logging_to(Console(file=out, width=20)):
            log.info("[bold]one[/] 100%s")
            await asyncio.to_thread(log.info, "two, longer than the terminal is wide")
            await asyncio.sleep(0)
            log.info("three")
        log.info("after the block nothing is printed")

    asyncio.run(run())
    lines = out.getvalue().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    assert [line[9:] for line in lines] == ["[bold]one[/] 100%s", "two, longer than the terminal is wide", "three"]


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    """Whoever logs does not learn of it."""

    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError

    async def run() -> None:
        with logging_to(Console(file=Gone())):
            log.info("nobody reads this")

    asyncio.run(run())
