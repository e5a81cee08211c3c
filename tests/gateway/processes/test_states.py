"""What processes of a gateway tell each other."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.processes.states import ProcessState, ProcessStates

TRIAL = {"version": 2, "kind": "canary", "share": 0.5, "status": "running", "reason": None}
STATE = ProcessState(1, listening=True, ready=True, version=1, recorded_version=1, trial=TRIAL)


@pytest.mark.anyio
async def test_each_reads_the_others(tmp_path: Path) -> None:
    """A state comes back as it was written, the last one of each process, and never one's own."""
    first, second = ProcessStates(tmp_path, 1), ProcessStates(tmp_path, 2)
    assert first.others() == []
    await second.write(replace(STATE, process=2, version=None))
    await second.write(replace(STATE, process=2))
    await first.write(STATE)
    assert first.others() == [replace(STATE, process=2)]
    assert ProcessStates(tmp_path).others() == [STATE, replace(STATE, process=2)]


def test_who_has_ended_says_nothing_more(tmp_path: Path) -> None:
    """Its state and its gauges go; what it counted stays for the one that is started in its place."""
    directory = tmp_path / "states"
    directory.mkdir()
    asyncio.run(ProcessStates(directory, 1).write(STATE))
    for name in ("counter_1.db", "histogram_1.db", "gauge_livemax_1.db", "gauge_livemin_1.db", "gauge_livemax_11.db"):
        (directory / name).touch()
    ProcessStates(directory).forget(1)
    assert sorted(each.name for each in directory.iterdir()) == [
        "counter_1.db",
        "gauge_livemax_11.db",
        "histogram_1.db",
    ]
