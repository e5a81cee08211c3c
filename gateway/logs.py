"""Logs as JSON lines, to the standard output and to a file.

An exception is logged by its class and place only: its message may repeat what was sent.
"""

import logging
import sys
import traceback
from logging.handlers import RotatingFileHandler
from pathlib import Path

import structlog
from structlog.typing import EventDict, Processor

FILE_BYTES, FILES_KEPT = 50_000_000, 5

log: structlog.stdlib.BoundLogger = structlog.get_logger("gateway")


def configure(log_file: Path | None, *, stream: bool = True) -> None:
    """Sends structlog's and the standard library's records down one path."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_without_message,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
        foreign_pre_chain=shared,
    )
    logging.basicConfig(level=logging.INFO, handlers=_handlers(log_file, formatter, stream=stream), force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # It logs bytes of what it cannot read.


def _handlers(log_file: Path | None, formatter: logging.Formatter, *, stream: bool) -> list[logging.Handler]:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)] if stream else []
    if log_file:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(RotatingFileHandler(log_file, maxBytes=FILE_BYTES, backupCount=FILES_KEPT))
    for handler in handlers:
        handler.setFormatter(formatter)
    return handlers


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
