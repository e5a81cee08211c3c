"""A real Valkey for what reads a trial's counts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.valkey import Valkey, running


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """An empty one."""
    with running(tmp_path) as it:
        yield it
