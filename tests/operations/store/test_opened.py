"""Versions that score in this process."""

from pathlib import Path

import numpy as np
import pytest

from contract.golden import TOLERANCE
from operations.errors import OperationsError
from operations.store import archived
from operations.store.opened import load_contents, load_version
from operations.store.registry import Registry
from tests import tiny
from tests.operations import archives


@pytest.fixture
def store(tmp_path: Path) -> Registry:
    """A store with version 1."""
    registry = Registry(tmp_path / "model_store")
    archives.add(registry, 1)
    return registry


def test_an_opened_version_scores_as_in_training(store: Registry) -> None:
    """Its golden rows get the probabilities that training computed."""
    version = load_version(store, 1)
    assert version.golden.difference(version.score_golden()) <= TOLERANCE


def test_each_row_gets_a_probability(store: Registry) -> None:
    """Also no row at all."""
    version = load_version(store, 1)
    assert version.score(tiny.matrix(3)).shape == (3,)
    assert version.score(tiny.matrix(0)).shape == (0,)


def test_a_matrix_of_another_width_is_told(store: Registry) -> None:
    """What the model cannot take is one line."""
    with pytest.raises(OperationsError, match=r"version 1 cannot be loaded \("):
        load_version(store, 1).score(np.zeros((2, 0), dtype=np.float32))


def test_a_model_that_is_none_is_told(store: Registry) -> None:
    """The words of torch are left out."""
    found = archived.read(store, 1)
    broken = archived.ArchiveContents(found.entry, found.contract, found.card, found.golden, b"nothing")
    with pytest.raises(OperationsError, match=r"^fraud-1\.mar cannot be loaded \(RuntimeError\)$"):
        load_contents(broken)
