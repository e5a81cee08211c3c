"""A model store with two versions in it, and a fake TorchServe beside it."""

from dataclasses import replace
from pathlib import Path

import pytest

from operations.registry import Registry
from operations.release import Place
from tests.operations.fake_torchserve import CONTRACT, FakeTorchServe
from tests.tiny import card


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A store with versions 1 and 2."""
    registry = Registry(tmp_path / "model_store")
    for version in (1, 2):
        add(registry, tmp_path, version)
    return registry


@pytest.fixture
def torchserve() -> FakeTorchServe:
    """A TorchServe that has just started: nothing is registered."""
    return FakeTorchServe()


@pytest.fixture
def place(registry: Registry, torchserve: FakeTorchServe) -> Place:
    """Where releases happen: two workers a version."""
    return Place(registry, torchserve.server(), 2)


def add(registry: Registry, directory: Path, version: int) -> None:
    """Adds a version whose archive is some bytes: nothing here unpacks it."""
    archive = directory / f"built-{version}.mar"
    archive.write_bytes(b"archive %d" % version)
    registry.add(archive, replace(card(version), data={"sha256": "0" * 64}), CONTRACT)
