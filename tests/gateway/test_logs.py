"""Logs as JSON lines, without values."""

import json
import logging
from pathlib import Path

import structlog

from gateway.logs import log


def test_every_line_is_json(log_lines: Path) -> None:
    """Our own lines and a library's are JSON with time, level and the bound request id."""
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        log.info("ours", rows=3)
        logging.getLogger("uvicorn.error").warning("theirs %s", "too")
    ours, theirs = map(json.loads, log_lines.read_text().splitlines())
    assert (ours["event"], ours["rows"], ours["request_id"], ours["level"]) == ("ours", 3, "r-1", "info")
    assert (theirs["event"], theirs["level"]) == ("theirs too", "warning")
    assert ours["timestamp"].endswith("Z")


def test_an_exception_is_logged_without_its_message(log_lines: Path) -> None:
    """The class and the place of an exception are logged; its message, which may hold a value, is not."""
    try:
        float("4556-7375-8689-9855")
    except ValueError as error:
        log.error("failed", exc_info=error)
    text = log_lines.read_text()
    assert "4556" not in text
    line = json.loads(text)
    assert line["exception"] == "ValueError"
    assert line["frames"][0].startswith("test_logs.py:")


def test_a_library_s_exception_is_too(log_lines: Path) -> None:
    """The same holds for what the standard library's loggers report."""
    try:
        float("4556-7375-8689-9855")
    except ValueError:
        logging.getLogger("asyncio").exception("failed")
    assert "4556" not in log_lines.read_text()
    assert json.loads(log_lines.read_text())["exception"] == "ValueError"
