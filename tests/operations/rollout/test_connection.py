"""Which model server and which store a command means."""

import json
from pathlib import Path

import pytest

from contract.decision import Thresholds
from operations.errors import OperationsError
from operations.rollout import connection
from operations.settings import Layout

ELSEWHERE = {"MANAGEMENT_URL": "http://there:1", "INFERENCE_URL": "http://there:2"}


def stack(root: Path, store: Path) -> None:
    """A stack that runs in a directory and loads from a store."""
    addresses = {"management_url": "http://m", "inference_url": "http://i", "workers": 3, "store": str(store)}
    (root / "var" / "run").mkdir(parents=True)
    (root / "var" / "run" / "stack.json").write_text(json.dumps(addresses))


def test_the_running_stacks_store_is_meant(tmp_path: Path) -> None:
    """Without MODEL_PATH it is the store that TorchServe loads from that counts."""
    stack(tmp_path, tmp_path / "elsewhere")
    found = connection.find(Layout(tmp_path, tmp_path / "model_store"), {})
    assert (found.store, found.workers) == (tmp_path / "elsewhere", 3)


def test_a_model_path_that_repeats_it_is_taken(tmp_path: Path) -> None:
    """MODEL_PATH may name the same store."""
    stack(tmp_path, tmp_path / "elsewhere")
    layout = Layout(tmp_path, tmp_path / "x" / ".." / "elsewhere")
    assert connection.find(layout, {"MODEL_PATH": "x/../elsewhere"}).store == tmp_path / "elsewhere"


def test_a_model_path_that_names_another_is_refused(tmp_path: Path) -> None:
    """Verifying one store's archive and loading another's would run code that nobody verified."""
    stack(tmp_path, tmp_path / "elsewhere")
    with pytest.raises(OperationsError, match="MODEL_PATH"):
        connection.find(Layout(tmp_path, tmp_path / "other"), {"MODEL_PATH": "other"})


def test_a_server_that_the_environment_names_has_its_own_store(tmp_path: Path) -> None:
    """Where MANAGEMENT_URL names the server, the local stack's store says nothing."""
    stack(tmp_path, tmp_path / "elsewhere")
    layout = Layout(tmp_path, tmp_path / "other")
    assert connection.find(layout, {**ELSEWHERE, "MODEL_PATH": "other"}).store == tmp_path / "other"


def test_addresses_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    """A file that holds no addresses counts as no stack."""
    stack(tmp_path, tmp_path)
    (tmp_path / "var" / "run" / "stack.json").write_text("[]")
    with pytest.raises(OperationsError, match="nothing runs here"):
        connection.find(Layout(tmp_path, tmp_path), {})


@pytest.mark.parametrize("workers", ["abc", "0", "1.5"])
def test_workers_that_are_no_number_are_refused(tmp_path: Path, workers: str) -> None:
    """A setting that is wrong is one line for people."""
    stack(tmp_path, tmp_path / "elsewhere")
    with pytest.raises(OperationsError, match="MODEL_WORKERS"):
        connection.find(Layout(tmp_path, tmp_path / "model_store"), {"MODEL_WORKERS": workers})


def test_the_running_stacks_thresholds_are_in_force(tmp_path: Path) -> None:
    """What the stack was started with holds, not what this shell has; without a stack, this shell's."""
    stack(tmp_path, tmp_path)
    written = json.loads((tmp_path / "var" / "run" / "stack.json").read_text())
    written["thresholds"] = {"review": 0.2, "decline": None}
    (tmp_path / "var" / "run" / "stack.json").write_text(json.dumps(written))
    layout, outside = Layout(tmp_path, tmp_path), {"REVIEW_THRESHOLD": "0.7"}
    assert connection.find(layout, outside).place.thresholds == Thresholds(0.2, None)
    (tmp_path / "var" / "run" / "stack.json").unlink()
    assert connection.find(layout, {**ELSEWHERE, **outside}).place.thresholds == Thresholds(0.7, None)


@pytest.mark.parametrize("threshold", ["high", "nan", "1.5"])
def test_thresholds_that_are_no_probabilities_are_refused(tmp_path: Path, threshold: str) -> None:
    """A setting that is wrong is one line for people."""
    with pytest.raises(OperationsError, match="REVIEW_THRESHOLD"):
        connection.find(Layout(tmp_path, tmp_path), {**ELSEWHERE, "REVIEW_THRESHOLD": threshold})
