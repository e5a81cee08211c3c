"""How Valkey is configured: what memory it gets."""

import os
from pathlib import Path

import pytest

from operations.errors import OperationsError
from operations.local import valkey

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(2**40, min(MACHINE // 4, 4 * 2**30)), (2**31, min(MACHINE, 2**31) // 4), (2**28, 2**28)],
)
def test_it_gets_a_quarter_of_the_memory(tmp_path: Path, limit: int, expected: int) -> None:
    """Of the machine, or of the container where that has less; between 256 MB and 4 GB."""
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    assert valkey.memory_of({}, tmp_path) == str(max(expected, 2**28))


@pytest.mark.parametrize("setting", ["100mb", "2gb", "1073741824", "64M"])
def test_a_setting_says_how_much(tmp_path: Path, setting: str) -> None:
    """As Valkey writes sizes, and into its configuration as it stands."""
    memory = valkey.memory_of({"REDIS_MEMORY": setting}, tmp_path)
    valkey.configure(tmp_path / "valkey.conf", tmp_path, 1, memory)
    assert f"maxmemory {setting}\n" in (tmp_path / "valkey.conf").read_text()


@pytest.mark.parametrize("setting", ["0", "much", "-1", "1mb\nsave 1 1", "1 gb", "10%"])
def test_another_setting_is_refused(tmp_path: Path, setting: str) -> None:
    """In words, before anything starts; nothing else gets into the configuration by it."""
    with pytest.raises(OperationsError, match="REDIS_MEMORY"):
        valkey.memory_of({"REDIS_MEMORY": setting}, tmp_path)
