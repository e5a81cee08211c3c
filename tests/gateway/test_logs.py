"""Logs as JSON lines, without values."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import structlog

from gateway import logs
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
    assert "4556-7375" not in text
    line = json.loads(text)
    assert line["exception"] == "ValueError"
    assert line["frames"][0].startswith("test_logs.py:")


def test_a_library_s_exception_is_too(log_lines: Path) -> None:
    """The same holds for what the standard library's loggers report."""
    try:
        float("4556-7375-8689-9855")
    except ValueError:
        logging.getLogger("asyncio").exception("failed")
    assert "4556-7375" not in log_lines.read_text()
    assert json.loads(log_lines.read_text())["exception"] == "ValueError"


def test_what_is_not_utf_8_is_logged(log_lines: Path) -> None:
    """As JSON escapes it; and a number of more bits than most readers know is one line too."""
    log.info("strange", text="\ud800", number=2**70)
    line = json.loads(log_lines.read_text())
    assert (line["text"], line["number"], line["logger"]) == ("\ud800", 2**70, "gateway")


def test_a_full_file_is_rotated(log_lines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest lines are in the file, those before in numbered ones, of which so many are kept."""
    monkeypatch.setattr(logs, "FILE_BYTES", 300)
    monkeypatch.setattr(logs, "FILES_KEPT", 2)
    for number in range(20):
        log.info("line", number=number)
    files = [log_lines, *(Path(f"{log_lines}.{number}") for number in (1, 2))]
    numbers = [[json.loads(line)["number"] for line in file.read_text().splitlines()] for file in files]
    assert all(file.stat().st_size <= 300 for file in files)
    assert [*numbers[2], *numbers[1], *numbers[0]] == list(range(numbers[2][0], 20))
    assert sorted(log_lines.parent.iterdir()) == sorted(files)


def test_several_processes_write_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line of each is in the file or in those before it, once and whole, and no file is renamed before it is full.

    Threads stand for processes: each has a descriptor of its own, which is all that they differ by here.
    """
    monkeypatch.setattr(logs, "FILE_BYTES", 2000)
    monkeypatch.setattr(logs, "FILES_KEPT", 99)
    files, begin = [logs.RotatingFile(tmp_path / "of_two" / "gateway.jsonl") for _ in "ab"], Barrier(2)

    def write(of: str, file: logs.RotatingFile) -> None:
        begin.wait()
        for number in range(500):
            file.write(f"{of} {number:020}\n".encode())
        file.close()

    with ThreadPoolExecutor() as pool:
        assert [*pool.map(write, "ab", files)] == [None, None]
    written = [*(tmp_path / "of_two").iterdir()]
    lines = [line.split() for each in written for line in each.read_text().splitlines()]
    assert sorted((of, int(number)) for of, number in lines) == [(of, n) for of in "ab" for n in range(500)]
    assert all(each.stat().st_size > 1900 for each in written if each.suffix != ".jsonl")


def test_a_file_is_gone_on_with(log_lines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process before has written counts towards the file's bound."""
    log.info("before", text="x" * 200)
    monkeypatch.setattr(logs, "FILE_BYTES", 300)
    logs.configure(log_lines)
    log.info("after")
    assert json.loads(log_lines.read_text())["event"] == "after"


def test_a_line_that_cannot_be_written_ends_nothing(log_lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever logs goes on, and the standard error says that a line is missing."""
    logging.getLogger().handlers[0].close()
    log.info("lost")
    logging.getLogger("uvicorn.error").warning("lost too")
    assert log_lines.read_text() == ""
    assert capsys.readouterr().err.count("a line could not be logged") == 2
