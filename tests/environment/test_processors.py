"""How many processors and how much memory a process may use."""

from pathlib import Path

import pytest

from environment.processors import memory_limit, physical_memory, usable_processors


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 16),
        ({"cpu.max": "3200000 100000\n"}, 16),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 16),
        ({}, 16),
    ],
)
def test_the_quota_of_either_kind_of_control_group_bounds_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    """A container with one and a half processors says so in one file or in two; it gets one at least."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert usable_processors(tmp_path) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("memory.max", "1000000\n", 1_000_000),
        ("memory/memory.limit_in_bytes", "1000000\n", 1_000_000),
        ("memory.max", "max\n", None),
    ],
)
def test_the_memory_of_either_kind_of_control_group_is_read(
    tmp_path: Path, name: str, text: str, expected: int | None
) -> None:
    """A container's memory limit stands in one file or the other."""
    (tmp_path / "memory").mkdir()
    (tmp_path / name).write_text(text)
    assert memory_limit(tmp_path) == expected


def test_without_a_control_group_the_machine_is_all_there_is(tmp_path: Path) -> None:
    """No file, no limit; the machine's own memory is known."""
    assert memory_limit(tmp_path) is None
    assert physical_memory() > 100_000_000
