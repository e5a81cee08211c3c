"""Reading what an archive says."""

from pathlib import Path

import pytest

from operations.errors import OperationsError
from operations.store import archived
from operations.store.registry import Registry
from tests import tiny
from tests.operations import archives


def test_an_archive_tells_its_contract_and_card(tmp_path: Path) -> None:
    """What training packed is what is read."""
    registry = Registry(tmp_path / "model_store")
    archives.add(registry, 3)
    found = archived.read(registry, 3)
    assert (found.card.version, found.contract) == (3, tiny.CONTRACT)
    assert (found.golden.csv, found.card.metrics) == (tiny.GOLDEN_CSV, archives.METRICS)


def test_an_archive_that_no_longer_verifies_is_not_read(tmp_path: Path) -> None:
    """A changed archive is refused before it is opened."""
    registry = Registry(tmp_path / "model_store")
    archives.add(registry, 1)
    path = registry.root / "fraud-1.mar"
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    with pytest.raises(OperationsError, match="SHA-256"):
        archived.read(registry, 1)


def test_an_archive_of_another_make_is_told(registry: Registry) -> None:
    """A registered archive without a contract that this release knows is one line, and no traceback."""
    with pytest.raises(OperationsError, match=r"^fraud-1\.mar cannot be loaded \(ContractError\)$"):
        archived.read(registry, 1)


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
        archived.read(registry, 2)
