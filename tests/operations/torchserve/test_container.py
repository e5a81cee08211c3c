"""TorchServe as the one program of a container."""

import socket
from pathlib import Path

import pytest

from operations.errors import OperationsError
from operations.torchserve import container
from operations.torchserve.container import prepare, workers
from operations.torchserve.launch import Ports


def devices(directory: Path, count: int) -> Path:
    """A /dev with so many GPUs, and what else NVIDIA's driver puts there."""
    for name in (*(f"nvidia{number}" for number in range(count)), "nvidiactl", "nvidia-uvm", "null"):
        (directory / name).touch()
    return directory


@pytest.mark.parametrize(("gpus", "expected"), [(1, 2), (2, 2), (4, 4)])
def test_each_gpu_gets_a_worker_and_there_are_two_at_least(tmp_path: Path, gpus: int, expected: int) -> None:
    """Workers are as many as GPUs, whatever the number of processors; one alone would be a single point of failure."""
    assert workers({}, devices(tmp_path, gpus)) == expected


def test_hidden_gpus_do_not_count(tmp_path: Path) -> None:
    """CUDA_VISIBLE_DEVICES leaves some of the devices; naming more than there are adds none."""
    there = devices(tmp_path, 4)
    assert workers({"CUDA_VISIBLE_DEVICES": "0,2,3"}, there) == 3
    assert workers({"CUDA_VISIBLE_DEVICES": "0,1,2,3,4,5"}, there) == 4


def test_without_a_gpu_the_processors_count(tmp_path: Path) -> None:
    """On a CPU there is a worker for each processor that this process may use, and two at least."""
    found = workers({}, devices(tmp_path, 0))
    assert found == workers({"CUDA_VISIBLE_DEVICES": ""}, devices(tmp_path, 2))
    assert 2 <= found <= 64


def test_the_setting_comes_before_what_is_found(tmp_path: Path) -> None:
    """MODEL_WORKERS is taken as it is, one worker too."""
    assert workers({"MODEL_WORKERS": "1"}, devices(tmp_path, 4)) == 1


@pytest.mark.parametrize("text", ["0", "65", "two", "-1", "1.5"])
def test_a_number_of_workers_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """What is no number of workers is said, with its bounds."""
    with pytest.raises(OperationsError, match="from 1 to 64"):
        workers({"MODEL_WORKERS": text}, tmp_path)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_either_kind_of_control_group_is_read(
    tmp_path: Path, files: dict[str, str], expected: float | None
) -> None:
    """A container with one and a half processors says so in one file or in two."""
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert container._quota(tmp_path) == expected


def test_management_stays_on_the_loopback_unless_it_is_named(tmp_path: Path) -> None:
    """Without a word in the environment every port is closed to others."""
    prepare({"MODEL_PATH": str(tmp_path)}, tmp_path / "ts")
    lines = (tmp_path / "ts.properties").read_text().splitlines()
    assert [line for line in lines if line.startswith(("inference_add", "management_add", "metrics_add"))] == [
        "inference_address=http://127.0.0.1:8080",
        "management_address=http://127.0.0.1:8081",
        "metrics_address=http://127.0.0.1:8082",
    ]


def test_a_name_becomes_this_containers_own_address(tmp_path: Path) -> None:
    """A host name is resolved, so that the port is open on that network alone."""
    prepare({"MODEL_PATH": str(tmp_path), "INFERENCE_HOST": "localhost"}, tmp_path / "ts")
    assert "inference_address=http://127.0.0.1:8080" in (tmp_path / "ts.properties").read_text()


@pytest.mark.parametrize("host", ["no-such-name.invalid", "192.0.2.1"])
def test_a_name_of_another_machine_is_refused(tmp_path: Path, host: str) -> None:
    """What is no address of this container stops the start; nothing falls back to all addresses."""
    with pytest.raises(OperationsError, match="MANAGEMENT_HOST"):
        prepare({"MODEL_PATH": str(tmp_path), "MANAGEMENT_HOST": host}, tmp_path / "ts")


def test_a_taken_port_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port on which somebody else listens is named before the JVM fails on it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = Ports(taken.getsockname()[1], 0, 0, 0, 0)
        monkeypatch.setattr(container, "PORTS", ports)
        with pytest.raises(OperationsError, match="is taken"):
            prepare({"MODEL_PATH": str(tmp_path)}, tmp_path / "ts")


def test_a_missing_store_is_said(tmp_path: Path) -> None:
    """Without a model store the container ends with one line that says what to mount."""
    with pytest.raises(OperationsError, match="mount the model store"):
        prepare({"MODEL_PATH": str(tmp_path / "none")}, tmp_path / "ts")
