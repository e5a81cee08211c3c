"""Starts the processes of a gateway, and starts each again that ends.

One that ends takes only its own connections with it; the others get those that come. A process that says nothing for
HANG_SECONDS is killed. The first SIGTERM or SIGINT drains all; each signal is handed on. Where this process is killed,
each of the others gets SIGTERM (`gateway.process`).
"""

import asyncio
import os
import signal
import sys
import time

from gateway.logs import log
from gateway.processes.connection_passing import open_queue
from gateway.processes.roles import ProcessCounts
from gateway.processes.states import ProcessStates

FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 0.1, 10.0
"""Until a process that ended is started again; three times as long after each time."""
STABLE_SECONDS = 30.0
"""Of running, after which the next end counts as the first."""
HANG_SECONDS = 30.0
WATCH_SECONDS = 1.0
ALONE_SECONDS, POLL_SECONDS = 10.0, 0.1


class Supervisor:
    """The processes of one gateway, from their start to their end.

    Attributes:
        hang_seconds: after which a process that says nothing is killed.
        alone_seconds: for which those that take connections are started alone, unless one can score before.
    """

    def __init__(
        self,
        counts: ProcessCounts,
        port: int,
        states: ProcessStates,
        drain_seconds: float,
        watch_seconds: float = WATCH_SECONDS,
    ) -> None:
        """Starts nothing yet.

        Args:
            counts: of the processes.
            port: that each listens on which takes connections.
            states: what the processes say.
            drain_seconds: after the first signal, until what still runs is killed.
            watch_seconds: how often it looks for processes that hang.
        """
        self.hang_seconds = HANG_SECONDS
        self._watch_seconds = watch_seconds
        self.alone_seconds = ALONE_SECONDS
        self._counts = counts
        self._entry, self._exit = open_queue()
        self._port = port
        self._states = states
        self._drain_seconds = drain_seconds
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._started: dict[int, float] = {}
        self._ending = asyncio.Event()

    async def run(self) -> None:
        """Runs all until they have ended after a signal."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        watching = asyncio.create_task(self._watch())
        await asyncio.gather(*(self._keep(process) for process in range(1, self._counts.total + 1)))
        watching.cancel()
        self._entry.close()
        self._exit.close()

    def _end(self, number: signal.Signals) -> None:
        if not self._ending.is_set():
            self._ending.set()
            asyncio.get_running_loop().call_later(self._drain_seconds, self._kill_all)
        for process in self._running.values():
            process.send_signal(number)

    def _kill_all(self) -> None:
        for process in self._running.values():
            process.kill()

    async def _keep(self, process: int) -> None:
        if self._counts.is_large(process):
            await self._wait_until_served()
        delay = FIRST_DELAY_SECONDS
        while not self._ending.is_set():
            began = time.monotonic()
            status = await self._run(process)
            self._states.forget(process)
            if self._ending.is_set():
                return
            delay = FIRST_DELAY_SECONDS if time.monotonic() - began > STABLE_SECONDS else delay
            log.error("process ended", process=process, status=status, restart_seconds=delay)
            await self._pause(delay)
            delay = min(delay * 3, MAX_DELAY_SECONDS)

    async def _wait_until_served(self) -> None:
        """Until a process can score, or has had its time: two that start at once are ready later than the first alone.

        Large bodies wait in the queue meanwhile.
        """
        began = time.monotonic()
        while time.monotonic() < began + self.alone_seconds and not any(each.ready for each in self._states.others()):
            if self._ending.is_set():
                return
            await self._pause(POLL_SECONDS)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        except TimeoutError:
            pass

    async def _run(self, process: int) -> int:
        """Runs a process until it ends; its exit status. In a session of its own: Ctrl-C reaches this one alone."""
        self._started[process] = time.monotonic()
        queue = (self._exit if self._counts.is_large(process) else self._entry).fileno()
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.process"),
            *map(str, (process, os.getpid(), self._port, queue, self._counts.serving, self._counts.large)),
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(self._states.directory)},
            pass_fds=[queue],
            start_new_session=True,
        )
        self._running[process] = running
        if self._ending.is_set():
            running.terminate()
        try:
            return await running.wait()
        finally:
            del self._running[process]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._watch_seconds)
            reported = {state.process: state.at for state in self._states.others()}
            for process, running in self._running.items():
                if time.monotonic() - max(reported.get(process, 0.0), self._started[process]) > self.hang_seconds:
                    log.error("process hangs and is killed", process=process)
                    running.kill()
