"""How many workers each version gets."""

from pathlib import Path

import pytest

from operations.errors import OperationsError
from operations.torchserve.workers import configured_workers, default_workers


def devices(directory: Path, count: int) -> Path:
    """A /dev with so many GPUs, and what else NVIDIA's driver puts there."""
    for name in (*(f"nvidia{number}" for number in range(count)), "nvidiactl", "nvidia-uvm", "null"):
        (directory / name).touch()
    return directory


@pytest.mark.parametrize(("gpus", "expected"), [(1, 2), (2, 2), (4, 4)])
def test_each_gpu_gets_a_worker_and_there_are_two_at_least(tmp_path: Path, gpus: int, expected: int) -> None:
    """Workers are as many as GPUs, whatever the number of processors; one alone would be a single point of failure."""
    assert default_workers({}, devices(tmp_path, gpus), tmp_path) == expected


def test_hidden_gpus_do_not_count(tmp_path: Path) -> None:
    """CUDA_VISIBLE_DEVICES leaves some of the devices; naming more than there are adds none."""
    there = devices(tmp_path, 4)
    assert default_workers({"CUDA_VISIBLE_DEVICES": "0,2,3"}, there, tmp_path) == 3
    assert default_workers({"CUDA_VISIBLE_DEVICES": "0,1,2,3,4,5"}, there, tmp_path) == 4


def test_without_a_gpu_the_processors_count(tmp_path: Path) -> None:
    """On a CPU there is a worker for each processor that this process may use, and two at least."""
    found = default_workers({}, devices(tmp_path, 0), tmp_path)
    assert found == default_workers({"CUDA_VISIBLE_DEVICES": ""}, devices(tmp_path, 2), tmp_path)
    assert 2 <= found <= 64


def test_a_given_number_is_taken_as_it_is() -> None:
    """MODEL_WORKERS is a number or nothing, one worker too."""
    assert [configured_workers(env) for env in ({"MODEL_WORKERS": "1"}, {"MODEL_WORKERS": ""}, {})] == [
        1,
        None,
        None,
    ]


@pytest.mark.parametrize("text", ["0", "65", "two", "-1", "1.5"])
def test_a_number_of_workers_that_is_none_is_refused(text: str) -> None:
    """What is no number of workers is said, with its bounds."""
    with pytest.raises(OperationsError, match="from 1 to 64"):
        configured_workers({"MODEL_WORKERS": text})


@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
@pytest.mark.parametrize(("megabytes", "expected"), [(512, 2), (3000, 3), (6600, 8)])
def test_there_are_no_more_workers_than_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, megabytes: int, expected: int
) -> None:
    """On a machine of many processors the container's memory decides: three versions may be loaded at a time."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    (tmp_path / "memory").mkdir()
    (tmp_path / file).write_text(f"{megabytes * 1_000_000}\n")
    assert default_workers({}, tmp_path / "memory", tmp_path) == expected


def test_without_a_bound_the_processors_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container whose memory is not bounded gets a worker for each processor."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(12)))
    (tmp_path / "memory.max").write_text("max\n")
    assert default_workers({}, tmp_path, tmp_path) == 12
