"""What happened to releases: one line of JSON for each event, in `model_store/journal.jsonl`.

    {"at": "2026-01-01T10:00:00+00:00", "event": "took_over", "version": 2, "instead_of": 3}

It is for people, and no part of a release depends on it: what cannot be written is left out. Lines are only appended,
until there are many; then the newest are kept. A line that a crash has torn is no event, and costs no other line.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from operations.errors import OperationsError
from operations.files import durable, plain_file

FILE_NAME = "journal.jsonl"
"""Its name in the model store."""
EVENTS_KEPT = 1000
"""Events that stay when the file is shortened."""
MAX_EVENTS = 1200
MAX_BYTES = 16 << 20
"""Largest file that is read."""
MAX_TEXT_LENGTH = 1000
"""Characters of a fact; what a model server says of a failure may be long."""
LOCK_TIMEOUT = 1.0
"""Seconds that an event waits for another process to write its own."""


def note(store: Path, event: str, **facts: object) -> None:
    """Appends an event; never raises for trouble with the disk, and waits for nobody for long."""
    with contextlib.suppress(OSError, OperationsError), durable.locked(store / ".journal.lock", "", LOCK_TIMEOUT):
        path = store / FILE_NAME
        written = _written(path)
        line = ("\n" if written and not written.endswith(b"\n") else "") + _line(event, facts)
        if not written or written.count(b"\n") >= MAX_EVENTS:
            newest = written.splitlines(keepends=True)[1 - EVENTS_KEPT :]
            durable.write(path, b"".join(newest) + line.encode())
        else:
            _append(path, line.encode())


def events(store: Path) -> list[Mapping[str, Any]]:
    """All events that can be read, oldest first; each has `at` and `event`, as texts."""
    try:
        lines = plain_file.read(store / FILE_NAME, MAX_BYTES).splitlines()
    except OSError:
        return []
    return [event for line in lines if (event := _read(line))]


def _written(path: Path) -> bytes:
    try:
        return plain_file.read(path, MAX_BYTES)
    except FileNotFoundError:
        return b""


def _line(event: str, facts: Mapping[str, object]) -> str:
    short = {name: fact[:MAX_TEXT_LENGTH] if isinstance(fact, str) else fact for name, fact in facts.items()}
    return json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), "event": event, **short}) + "\n"


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(line: bytes) -> Mapping[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    has_both = isinstance(event, dict) and all(isinstance(event.get(name), str) for name in ("at", "event"))
    return event if has_both else None
