"""The journal: what happened to releases, for people."""

import json
import multiprocessing
from pathlib import Path

import pytest

from operations.files import durable
from operations.store import journal


def test_events_come_back_in_order(tmp_path: Path) -> None:
    """Each event has its time, its name and its facts."""
    journal.note(tmp_path, "released", version=1, previous=None)
    journal.note(tmp_path, "rolled_back", version=2, previous=1, why="two\nlines")
    first, second = journal.events(tmp_path)
    assert (first["event"], first["version"], first["previous"]) == ("released", 1, None)
    assert (second["event"], second["why"]) == ("rolled_back", "two\nlines")
    assert first["at"].endswith("+00:00")


def test_without_a_journal_there_are_no_events(tmp_path: Path) -> None:
    """A store in which nothing has happened, or that is not there, has none."""
    assert journal.events(tmp_path) == journal.events(tmp_path / "none") == []


@pytest.mark.parametrize(
    "torn", [b'{"at": "2026', b"[1]", b"7", b"{}", b'{"at": 1, "event": "x"}', b"\xff", b"[" * 9999]
)
def test_a_torn_line_costs_no_other(tmp_path: Path, torn: bytes) -> None:
    """What a crash left of a line is no event, and the next event begins a line of its own."""
    journal.note(tmp_path, "released", version=1)
    with (tmp_path / journal.FILE_NAME).open("ab") as file:
        file.write(torn)
    journal.note(tmp_path, "released", version=2)
    assert [event["version"] for event in journal.events(tmp_path)] == [1, 2]


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    """When there are many, the file is shortened to the newest thousand; it never holds many more."""
    lines = [json.dumps({"at": "", "event": "released", "version": number}) for number in range(journal.MAX_EVENTS)]
    (tmp_path / journal.FILE_NAME).write_text("\n".join(lines) + "\n")
    journal.note(tmp_path, "released", version=journal.MAX_EVENTS)
    events = journal.events(tmp_path)
    assert len(events) == journal.EVENTS_KEPT
    assert [events[0]["version"], events[-1]["version"]] == [
        journal.MAX_EVENTS - journal.EVENTS_KEPT + 1,
        journal.MAX_EVENTS,
    ]


def test_a_long_text_is_cut(tmp_path: Path) -> None:
    """What a model server says of a failure may be long."""
    journal.note(tmp_path, "not_loadable", why="x" * 5000)
    assert len(journal.events(tmp_path)[0]["why"]) == journal.MAX_TEXT_LENGTH


def test_trouble_with_the_disk_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is gone, a file that is none, and a lock that is held: the event is left out, nothing is raised."""
    monkeypatch.setattr(journal, "LOCK_TIMEOUT", 0.0)
    journal.note(tmp_path / "none", "released", version=1)
    with durable.locked(tmp_path / ".journal.lock", ""):
        journal.note(tmp_path, "released", version=1)
    (tmp_path / journal.FILE_NAME).mkdir()
    journal.note(tmp_path, "released", version=1)
    assert journal.events(tmp_path) == []


def write(store: Path, process: int) -> None:
    """Notes some events in a process of its own, beside others that shorten the file."""
    for number in range(50):
        journal.note(store, "released", version=number, process=process)


def test_processes_write_beside_each_other(tmp_path: Path) -> None:
    """Commands and the stack append at once, while the file is shortened: no line is lost or mixed with another."""
    old = json.dumps({"at": "", "event": "old"}) + "\n"
    (tmp_path / journal.FILE_NAME).write_text(old * (journal.MAX_EVENTS - 60))
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write, args=(tmp_path, number)) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    events = [event for event in journal.events(tmp_path) if event["event"] != "old"]
    for number in range(2):
        assert [event["version"] for event in events if event["process"] == number] == list(range(50))
