"""A model store with two versions in it, and a fake TorchServe beside it."""

import hashlib
import json
import logging
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from operations.processes.console_log import log
from operations.rollout.deployment import DeploymentTarget
from operations.store.registry import Registry
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
def torchserve(tmp_path: Path) -> FakeTorchServe:
    """A TorchServe that has just started: nothing is registered."""
    return FakeTorchServe(tmp_path / "verified")


@pytest.fixture
def target(registry: Registry, torchserve: FakeTorchServe, tmp_path: Path) -> DeploymentTarget:
    """Where releases happen: two workers a version."""
    return DeploymentTarget(registry, tmp_path / "verified", torchserve.server(), 2)


def add(registry: Registry, directory: Path, version: int) -> None:
    """Adds a version whose archive has the right names and a model of some bytes: nothing here loads it."""
    archive = pack(directory / f"built-{version}.mar", contents(version))
    registry.add(archive, replace(card(version), data={"sha256": "0" * 64}), CONTRACT)


def contents(version: int) -> dict[str, bytes]:
    """The files of an archive."""
    names = ("contract.json", "card.json", "golden.json")
    return {"model.pt": b"model %d" % version, **dict.fromkeys(names, b"{}")}


def pack(archive: Path, files: Mapping[str, bytes]) -> Path:
    """Packs an archive of these files and what else each has; sums that checksums.json gives already are kept."""
    whole = {"MAR-INF/MANIFEST.json": b"{}", "fraud_handler.py": b"", "contract/__init__.py": b"", **files}
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in whole.items() if not name.startswith("MAR-INF/")}
    sums.pop("checksums.json", None)
    whole["checksums.json"] = json.dumps(sums | json.loads(whole.get("checksums.json", b"{}"))).encode()
    with zipfile.ZipFile(archive, "w") as packed:
        for name, data in whole.items():
            packed.writestr(name, data)
    return archive


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """What `fraud up` and `fraud keep` log, without its time."""
    lines = list[str]()

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    collector = Collector()
    log.setLevel(logging.INFO)
    log.addHandler(collector)
    yield lines
    log.removeHandler(collector)
