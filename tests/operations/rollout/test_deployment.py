"""Which model server and which store a command means."""

import json
import socket
from pathlib import Path

import pytest

from contract.decision import ThresholdOverrides
from operations.errors import OperationsError
from operations.rollout import deployment
from operations.settings import StatePaths

ELSEWHERE = {"MANAGEMENT_URL": "http://127.0.0.1:1", "INFERENCE_URL": "http://there:2"}


def stack(root: Path, store: Path) -> None:
    """A stack that runs in a directory and loads from a store."""
    addresses = {"management_url": "http://127.0.0.1:3", "inference_url": "http://i", "workers": 3, "store": str(store)}
    addresses |= {"gateway_url": "http://127.0.0.1:4", "redis_url": "redis://127.0.0.1:5"}
    (root / "var" / "run").mkdir(parents=True)
    (root / "var" / "run" / "stack.json").write_text(json.dumps(addresses))


def test_the_running_stacks_store_is_meant(tmp_path: Path) -> None:
    """Without MODEL_PATH it is the store that TorchServe loads from that counts."""
    stack(tmp_path, tmp_path / "elsewhere")
    found = deployment.find_target(StatePaths(tmp_path, tmp_path / "model_store"), {})
    assert (found.store, found.workers) == (tmp_path / "elsewhere", 3)


def test_a_model_path_that_repeats_it_is_taken(tmp_path: Path) -> None:
    """MODEL_PATH may name the same store."""
    stack(tmp_path, tmp_path / "elsewhere")
    paths = StatePaths(tmp_path, tmp_path / "x" / ".." / "elsewhere")
    assert deployment.find_target(paths, {"MODEL_PATH": "x/../elsewhere"}).store == tmp_path / "elsewhere"


def test_a_model_path_that_names_another_is_refused(tmp_path: Path) -> None:
    """Verifying one store's archive and loading another's would run code that nobody verified."""
    stack(tmp_path, tmp_path / "elsewhere")
    with pytest.raises(OperationsError, match="MODEL_PATH"):
        deployment.find_target(StatePaths(tmp_path, tmp_path / "other"), {"MODEL_PATH": "other"})


def test_a_server_that_the_environment_names_has_its_own_store(tmp_path: Path) -> None:
    """Where MANAGEMENT_URL names the server, the local stack's store says nothing."""
    stack(tmp_path, tmp_path / "elsewhere")
    paths = StatePaths(tmp_path, tmp_path / "other")
    assert deployment.find_target(paths, {**ELSEWHERE, "MODEL_PATH": "other"}).store == tmp_path / "other"


def test_addresses_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    """A file that holds no addresses counts as no stack."""
    stack(tmp_path, tmp_path)
    (tmp_path / "var" / "run" / "stack.json").write_text("[]")
    with pytest.raises(OperationsError, match="nothing runs here"):
        deployment.find_target(StatePaths(tmp_path, tmp_path), {})


@pytest.mark.parametrize("workers", ["abc", "0", "1.5"])
def test_workers_that_are_no_number_are_refused(tmp_path: Path, workers: str) -> None:
    """A setting that is wrong is one line for people."""
    stack(tmp_path, tmp_path / "elsewhere")
    with pytest.raises(OperationsError, match="MODEL_WORKERS"):
        deployment.find_target(StatePaths(tmp_path, tmp_path / "model_store"), {"MODEL_WORKERS": workers})


def test_the_running_stacks_thresholds_are_in_force(tmp_path: Path) -> None:
    """What the stack was started with holds, not what this shell has; without a stack, this shell's."""
    stack(tmp_path, tmp_path)
    written = json.loads((tmp_path / "var" / "run" / "stack.json").read_text())
    written["thresholds"] = {"review": 0.2, "decline": None}
    (tmp_path / "var" / "run" / "stack.json").write_text(json.dumps(written))
    paths, env = StatePaths(tmp_path, tmp_path), {"REVIEW_THRESHOLD": "0.7"}
    assert deployment.find_target(paths, env).thresholds == ThresholdOverrides(0.2, None)
    (tmp_path / "var" / "run" / "stack.json").unlink()
    assert deployment.find_target(paths, {**ELSEWHERE, **env}).thresholds == ThresholdOverrides(0.7, None)


@pytest.mark.parametrize("threshold", ["high", "nan", "1.5"])
def test_thresholds_that_are_no_probabilities_are_refused(tmp_path: Path, threshold: str) -> None:
    """A setting that is wrong is one line for people."""
    with pytest.raises(OperationsError, match="REVIEW_THRESHOLD"):
        deployment.find_target(StatePaths(tmp_path, tmp_path), {**ELSEWHERE, "REVIEW_THRESHOLD": threshold})


def test_a_server_that_the_environment_names_has_its_own_everything(tmp_path: Path) -> None:
    """A local stack's gateway, Redis and workers are not those of a server elsewhere."""
    stack(tmp_path, tmp_path)
    found = deployment.find_target(StatePaths(tmp_path, tmp_path), ELSEWHERE)
    assert (found.gateway_url, found.redis_url, found.workers) == (None, None, None)
    named = {"GATEWAY_URL": "http://gateway:8000", "REDIS_URL": "redis://there", "MODEL_WORKERS": "4"}
    found = deployment.find_target(StatePaths(tmp_path, tmp_path), ELSEWHERE | named)
    assert (found.gateway_url, found.redis_url, found.workers) == ("http://gateway:8000", "redis://there", 4)


def test_a_name_for_several_addresses_means_all_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release goes to each server behind MANAGEMENT_URL."""

    def found(host: str, port: int, **_: object) -> list[tuple[socket.AddressFamily, int, int, str, tuple[str, int]]]:
        assert host == "torchserve"
        return [(socket.AF_INET, 1, 6, "", (f"10.0.0.{last}", port)) for last in (2, 1, 2)]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    env = {"MANAGEMENT_URL": "http://torchserve:8081", "INFERENCE_URL": "http://scoring:8080"}
    target = deployment.find_target(StatePaths(tmp_path, tmp_path), env)
    assert [one.server.address for one in target.single_servers] == ["http://10.0.0.1:8081", "http://10.0.0.2:8081"]


def test_a_name_for_nothing_is_told(tmp_path: Path) -> None:
    """A mistake in MANAGEMENT_URL is one line."""
    with pytest.raises(OperationsError, match=r"nowhere\.invalid is no name"):
        deployment.find_target(
            StatePaths(tmp_path, tmp_path), ELSEWHERE | {"MANAGEMENT_URL": "http://nowhere.invalid:8081"}
        )


@pytest.mark.parametrize("name", ["MANAGEMENT_URL", "INFERENCE_URL", "GATEWAY_URL"])
@pytest.mark.parametrize("value", ["torchserve:8081", "//torchserve", "http://", "ftp://torchserve"])
def test_what_is_no_address_is_refused_by_its_name(tmp_path: Path, name: str, value: str) -> None:
    """Before anything is released: a gateway that cannot be asked would be blamed only afterwards."""
    with pytest.raises(OperationsError, match=f"^{name} is no http:// or https:// address"):
        deployment.find_target(StatePaths(tmp_path, tmp_path), ELSEWHERE | {name: value})


def test_where_nothing_runs_both_ways_are_told(tmp_path: Path) -> None:
    """On one machine a stack is started; in containers, the environment names the servers."""
    with pytest.raises(OperationsError, match="start `fraud up`, or set MANAGEMENT_URL and INFERENCE_URL"):
        deployment.find_target(StatePaths(tmp_path, tmp_path), {"INFERENCE_URL": "http://there:2"})
