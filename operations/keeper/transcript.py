"""A job's output while it runs, line by line, for a caller who may go away: the job goes on all the same."""

import queue
import threading
from collections.abc import Callable, Iterator

Run = Callable[[str, Callable[[str], None]], int]
"""Runs a job by its name, handing each line of its output on, and gives its exit code; refuses before the first."""
SILENCE = 20.0
"""Seconds after which an empty line says that the job still runs: proxies end what is silent for a minute."""
AT_ONCE = 2.0
"""Seconds in which a job is refused, if it is."""
MOST_LINES = 10_000
"""Lines that wait for a slow reader; what comes after them is left out."""


class Transcript:
    """One run of a job."""

    def __init__(self, run: Run, job: str) -> None:
        """Starts it.

        Raises:
            OperationsError: it is refused, in the words of whoever runs it.
        """
        self._run = run
        self._job = job
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_LINES)  # None is the end.
        self._refusal: Exception | None = None
        self._has_begun = threading.Event()
        threading.Thread(target=self._work, daemon=True, name=f"job {job}").start()
        self._has_begun.wait(AT_ONCE)
        if self._refusal:
            raise self._refusal

    def __iter__(self) -> Iterator[str]:
        """Its lines; an empty one after each silence; `exit N` at last."""
        while (line := self._next()) is not None:
            yield line

    def _next(self) -> str | None:
        try:
            return self._lines.get(timeout=SILENCE)
        except queue.Empty:
            return ""

    def _work(self) -> None:
        try:
            status = self._run(self._job, self._write)
        except Exception as error:  # noqa: BLE001 - it is raised, or told, to whoever asked for the job
            self._fail(error)
        else:
            self._end(status)

    def _write(self, line: str) -> None:
        self._has_begun.set()
        self._put(line)

    def _fail(self, error: Exception) -> None:
        if not self._has_begun.is_set():
            self._refusal = error
        self._put(f"the job could not be run to its end ({type(error).__name__})")
        self._end(1)

    def _end(self, status: int) -> None:
        for last in (f"exit {status}", None):
            while not self._put(last):
                self._lines.get_nowait()  # The last line matters more than any other.
        self._has_begun.set()

    def _put(self, line: str | None) -> bool:
        try:
            self._lines.put_nowait(line and line.rstrip("\r\n"))
        except queue.Full:
            return False
        return True
