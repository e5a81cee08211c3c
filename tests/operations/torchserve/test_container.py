"""TorchServe as the one program of a container."""

import socket
from pathlib import Path

import pytest

from operations.errors import OperationsError
from operations.torchserve import container
from operations.torchserve.container import prepare
from operations.torchserve.launch import Ports


def paths(directory: Path) -> dict[str, str]:
    """An environment that names one directory for both."""
    return dict.fromkeys(("MODEL_PATH", "VERIFIED_PATH"), str(directory))


def test_management_stays_on_the_loopback_unless_it_is_named(tmp_path: Path) -> None:
    """Without a word in the environment every port is closed to others."""
    prepare(paths(tmp_path), tmp_path / "ts")
    lines = (tmp_path / "ts.properties").read_text().splitlines()
    assert [line for line in lines if line.startswith(("inference_add", "management_add", "metrics_add"))] == [
        "inference_address=http://127.0.0.1:8080",
        "management_address=http://127.0.0.1:8081",
        "metrics_address=http://127.0.0.1:8082",
    ]


def test_a_name_becomes_this_containers_own_address(tmp_path: Path) -> None:
    """A host name is resolved, so that the port is open on that network alone."""
    prepare(paths(tmp_path) | {"INFERENCE_HOST": "localhost"}, tmp_path / "ts")
    assert "inference_address=http://127.0.0.1:8080" in (tmp_path / "ts.properties").read_text()


@pytest.mark.parametrize("host", ["no-such-name.invalid", "192.0.2.1"])
def test_a_name_of_another_machine_is_refused(tmp_path: Path, host: str) -> None:
    """What is no address of this container stops the start; nothing falls back to all addresses."""
    with pytest.raises(OperationsError, match="MANAGEMENT_HOST"):
        prepare(paths(tmp_path) | {"MANAGEMENT_HOST": host}, tmp_path / "ts")


def test_a_taken_port_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port on which somebody else listens is named before the JVM fails on it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = Ports(taken.getsockname()[1], 0, 0, 0, 0)
        monkeypatch.setattr(container, "PORTS", ports)
        with pytest.raises(OperationsError, match="is taken"):
            prepare(paths(tmp_path), tmp_path / "ts")


@pytest.mark.parametrize("missing", ["MODEL_PATH", "VERIFIED_PATH"])
def test_a_missing_directory_is_said(tmp_path: Path, missing: str) -> None:
    """Without the model store, or what it loads from, the container ends with one line that says what to mount."""
    with pytest.raises(OperationsError, match=f"{missing}=.* is no directory: mount"):
        prepare(paths(tmp_path) | {missing: str(tmp_path / "none")}, tmp_path / "ts")
