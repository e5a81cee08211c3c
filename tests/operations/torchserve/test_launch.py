"""What TorchServe is started with."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from operations.errors import OperationsError
from operations.torchserve import launch

SECRETS: Mapping[str, str] = {"API_KEY": "x", "REDIS_URL": "redis://:x@h", "AWS_SECRET_ACCESS_KEY": "x"}


def test_the_model_server_sees_no_secret(tmp_path: Path) -> None:
    """Keys and passwords stay out of TorchServe's environment; the choice of GPU is handed on."""
    seen = launch.environment({**SECRETS, "CUDA_VISIBLE_DEVICES": "1", "PYTHONPATH": "/x"}, tmp_path)
    assert not seen.keys() & {*SECRETS, "PYTHONPATH"}
    assert (seen["CUDA_VISIBLE_DEVICES"], seen["TMPDIR"]) == ("1", str(tmp_path))


def test_the_configuration_sets_every_port(tmp_path: Path) -> None:
    """No port is left to a default that two instances would share, and none listens beyond this machine."""
    lines = launch.configuration(launch.Ports(1, 2, 3, 4, 5), tmp_path).splitlines()
    chosen = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    assert [chosen[f"{name}_address"] for name in ("inference", "management", "metrics")] == [
        f"http://127.0.0.1:{port}" for port in (1, 2, 3)
    ]
    assert (chosen["grpc_inference_port"], chosen["grpc_management_port"]) == ("4", "5")
    assert chosen["grpc_inference_address"] == chosen["grpc_management_address"] == "127.0.0.1"


def test_a_scratch_path_too_long_for_sockets_is_refused(tmp_path: Path) -> None:
    """Workers' sockets have short paths or none: a long one is refused before TorchServe fails on it."""
    with pytest.raises(OperationsError, match="TMPDIR"):
        launch.prepare_scratch(tmp_path / ("x" * (launch.LONGEST_SOCKET_PATH - len(os.fsencode(tmp_path)))))


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_directory_that_somebody_else_put_there_is_not_taken(tmp_path: Path, kind: str) -> None:
    """Names among the temporary files can be known before: what is no directory of this user's is refused."""
    place = tmp_path / "fraud-torchserve"
    if kind == "link":
        place.symlink_to(tmp_path)
    else:
        place.touch()
    with pytest.raises(OperationsError, match="is no directory of user"):
        launch.own_directory(place)


def test_a_scratch_directory_is_its_users_alone(tmp_path: Path) -> None:
    """Unpacked archives lie in it: whoever could write there could change what a worker imports."""
    (tmp_path / "ts").mkdir(mode=0o777)
    launch.prepare_scratch(tmp_path / "ts")
    assert (tmp_path / "ts").stat().st_mode & 0o777 == 0o700


def test_the_workers_are_left_out_where_nobody_chose(tmp_path: Path) -> None:
    """Only a container decides how many workers a version gets by default."""
    ports = launch.Ports(1, 2, 3, 4, 5)
    assert "default_workers_per_model" not in launch.configuration(ports, tmp_path)
    assert "default_workers_per_model=3\n" in launch.configuration(ports, tmp_path, workers=3)
