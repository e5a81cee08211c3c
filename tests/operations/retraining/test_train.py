"""Training into the model store."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from operations.errors import OperationsError
from operations.retraining.train import TrainOptions, train
from operations.store.registry import Registry
from tests.operations.claims import claims, trained
from tests.operations.conftest import add


class Interrupting(Console):
    """A console that lets another training be quicker: it adds versions when the first archive is written."""

    def __init__(self, registry: Registry, scratch: Path, versions: list[int]) -> None:
        super().__init__(file=io.StringIO())
        self._registry, self._scratch, self._versions = registry, scratch, versions

    def print(self, *texts: object, **options: object) -> None:
        while self._versions and "wrote fraud-" in str(texts):
            add(self._registry, self._scratch, self._versions.pop())


def test_two_trainings_at_once_both_succeed(tmp_path: Path) -> None:
    """Whose number was taken meanwhile gets the next one, without another training."""
    registry = Registry(tmp_path / "model_store")
    claims(600).to_csv(tmp_path / "claims.csv", index=False)
    console = Interrupting(registry, tmp_path, [1])
    entry = train(registry, TrainOptions(tmp_path / "claims.csv", None, 0, 1), console)
    assert entry.version == 2
    assert (registry.root / "fraud-2.mar").read_bytes() != (registry.root / "fraud-1.mar").read_bytes()


def test_a_training_leaves_nothing_but_its_version(tmp_path: Path) -> None:
    """What it was made in is gone."""
    registry = Registry(tmp_path / "model_store")
    trained(registry, tmp_path / "claims.csv", claims(600), epochs=1)
    assert {path.name for path in registry.root.iterdir()} == {".lock", "fraud-1.mar", "fraud-1.json"}


def test_what_training_refuses_is_said(tmp_path: Path) -> None:
    """A file that is not there is an error for people."""
    with pytest.raises(OperationsError, match="no such file"):
        train(
            Registry(tmp_path / "store"), TrainOptions(tmp_path / "none.csv", None, 0, 1), Console(file=io.StringIO())
        )
