"""A directory in which jobs run, and a chat server for their alerts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from operations.settings import StatePaths
from tests.operations.jobs.receiver import Receiver, receiving


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatePaths:
    """An empty directory, where no setting of this shell counts."""
    for name in ("ALERT_URL", "ALERT_URL_FILE", "BACKUP_TO", "GATEWAY_URL", "MANAGEMENT_URL", "REDIS_URL", "SCHEDULE"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "fraud"
    root.mkdir()
    return StatePaths(root, root / "model_store")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch, paths: StatePaths) -> Iterator[Receiver]:
    """One that ALERT_URL names."""
    with receiving() as found:
        monkeypatch.setenv("ALERT_URL", found.url)
        yield found
