"""A backup, restored on an empty clone: the same versions, the same scores."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import Stack, Twin, release

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

ROWS = 1000


def test_a_backup_restored_on_an_empty_clone_scores_the_same(stack: Stack, twin: Twin, tmp_path: Path) -> None:
    """1,000 transactions get the same ids, decisions and version, and probabilities equal to the last bit."""
    file, backups, clone = tmp_path / "thousand.csv", tmp_path / "backups", tmp_path / "clone"
    release(stack, twin.version)
    stack.fraud("sample", "-o", file, "--rows", str(ROWS))
    # A backup holds no history: nobody knows these cards and ids, so the file is all their past, here and there.
    rows = re.sub(rb"\b(T\d{4}-\d{7}|[CM]\d{5})\b", rb"\1-clone", file.read_bytes())
    before = stack.upload(rows).json()
    stack.fraud("backup", "create", "--to", backups)
    [backup] = backups.glob("*.tar")
    stack.fraud("restore", backup, "--into", clone)
    after = _scored_by_clone(clone, rows)
    assert len(after["predictions"]) == ROWS
    assert after["model_version"] == twin.version
    assert after == before


def _scored_by_clone(directory: Path, csv: bytes) -> dict[str, Any]:
    clone = Stack(directory)
    try:
        clone.wait_until_ready()
        body: dict[str, Any] = clone.upload(csv).json()
        return body
    finally:
        clone.stop()
