"""Reading what an archive says, and versions that score in this process."""

from pathlib import Path

import numpy as np
import pytest

from contract.golden import TOLERANCE
from operations.errors import OperationsError
from operations.store import version_archive
from operations.store.registry import Registry
from tests import tiny
from tests.operations import archives


def test_an_archive_tells_its_contract_and_card(tmp_path: Path) -> None:
    """What training packed is what is read."""
    registry = Registry(tmp_path / "model_store")
    archives.add(registry, 3)
    found = version_archive.read_archive(registry, 3)
    assert (found.card.version, found.contract) == (3, tiny.CONTRACT)
    assert (found.golden.csv, found.card.metrics) == (tiny.GOLDEN_CSV, archives.METRICS)


def test_an_archive_that_no_longer_verifies_is_not_read(tmp_path: Path) -> None:
    """A changed archive is refused before it is opened."""
    registry = Registry(tmp_path / "model_store")
    archives.add(registry, 1)
    path = registry.root / "fraud-1.mar"
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    with pytest.raises(OperationsError, match="SHA-256"):
        version_archive.read_archive(registry, 1)


def test_an_archive_of_another_make_is_told(registry: Registry) -> None:
    """A registered archive without a contract that this release knows is one line, and no traceback."""
    with pytest.raises(OperationsError, match=r"^fraud-1\.mar cannot be loaded \(ContractError\)$"):
        version_archive.read_archive(registry, 1)


def test_an_archive_of_another_version_is_told(tmp_path: Path) -> None:
    """A card that names another version than the entry is not shown as this one's."""
    registry = Registry(tmp_path / "model_store")
    archives.add(registry, 1)
    entry = (registry.root / "fraud-1.json").read_text()
    (registry.root / "fraud-2.json").write_text(
        entry.replace('"version": 1', '"version": 2').replace("fraud-1.mar", "fraud-2.mar")
    )
    (registry.root / "fraud-1.mar").rename(registry.root / "fraud-2.mar")
    with pytest.raises(OperationsError, match="another version"):
        version_archive.read_archive(registry, 2)


@pytest.fixture
def store(tmp_path: Path) -> Registry:
    """A store with version 1."""
    registry = Registry(tmp_path / "model_store")
    archives.add(registry, 1)
    return registry


def test_an_opened_version_scores_as_in_training(store: Registry) -> None:
    """Its golden rows get the probabilities that training computed."""
    version = version_archive.load_version(store, 1)
    assert version.golden.difference(version.score_golden()) <= TOLERANCE


def test_each_row_gets_a_probability(store: Registry) -> None:
    """Also no row at all."""
    version = version_archive.load_version(store, 1)
    assert version.score(tiny.matrix(3)).shape == (3,)
    assert version.score(tiny.matrix(0)).shape == (0,)


def test_a_matrix_of_another_width_is_told(store: Registry) -> None:
    """What the model cannot take is one line."""
    with pytest.raises(OperationsError, match=r"version 1 cannot be loaded \("):
        version_archive.load_version(store, 1).score(np.zeros((2, 0), dtype=np.float32))


def test_a_model_that_is_none_is_told(store: Registry) -> None:
    """The words of torch are left out."""
    found = version_archive.read_archive(store, 1)
    broken = version_archive.ArchiveContents(found.entry, found.contract, found.card, found.golden, b"nothing")
    with pytest.raises(OperationsError, match=r"^fraud-1\.mar cannot be loaded \(RuntimeError\)$"):
        version_archive.load_contents(broken)
