"""The real TorchServe beside somebody who writes into the model store: no code that is not signed runs in a worker."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from operations.errors import OperationsError
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.registration import load, prove
from operations.settings import StatePaths
from operations.store.registry import Registry
from operations.store.signing import SigningKeys
from operations.torchserve.client import TorchServeClient, TorchServeUnreachable
from operations.torchserve.launch import Ports
from tests import tiny
from tests.operations.local.test_stack import pack
from tests.operations.store.test_signing import write_keys
from tests.system.conftest import free_port, wait_for
from tests.system.test_keeper import torchserve

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("keeper"), pytest.mark.timeout(240)]

TURNS = 3


class Robbed(TorchServeClient):
    """A TorchServe that is told to register a file, which somebody replaces in the store in that moment."""

    others: Mapping[Path, bytes] = MappingProxyType({})

    def register(self, archive: Path, workers: int | None, timeout: float = 150.0) -> None:
        """Replaces it first."""
        for path, data in self.others.items():
            replaced(path, data)
        super().register(archive, workers, timeout)


def replaced(path: Path, data: bytes) -> None:
    """Renames another file to the place of this one."""
    other = path.with_name(f".{path.name}.other")
    other.write_bytes(data)
    other.replace(path)


@contextlib.contextmanager
def renaming(others: Mapping[Path, bytes]) -> Iterator[None]:
    """Renames other files to these places, and the own ones back, for as long as the block lasts."""
    own, ended = {path: path.read_bytes() for path in others}, threading.Event()

    def rename() -> None:
        while not ended.is_set():
            for files in (others, own):
                for path, data in files.items():
                    replaced(path, data)

    thread = threading.Thread(target=rename)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for path, data in own.items():
            replaced(path, data)


def store(root: Path, keys: SigningKeys, more: bytes = b"") -> Registry:
    """A store with version 1, whose handler runs this, too."""
    registry = Registry(root / "model_store", keys)
    registry.add(pack(root, 1, more), replace(tiny.card(1), data={"sha256": "0" * 64}), tiny.CONTRACT)
    return registry


def loads(target: DeploymentTarget) -> bool:
    """Whether version 1 is loaded and proven; it is deleted again."""
    try:
        load(target, 1, lambda _: None)
        prove(target, target.registry.entry(1))
    except TorchServeUnreachable:
        raise
    except OperationsError:
        return False
    finally:
        target.server.delete(1)
    return True


def test_no_unsigned_code_runs(tmp_path: Path) -> None:
    """An archive that takes the place of the signed one when TorchServe is told of it, or at any time, never runs."""
    marker = tmp_path / "unsigned"
    signed = store(tmp_path, write_keys(tmp_path / "keys"))
    other = store(tmp_path / "other", SigningKeys(), f"open({str(marker)!r}, 'w').close()\n".encode())
    others = {signed.root / name: (other.root / name).read_bytes() for name in ("fraud-1.mar", "fraud-1.json")}
    ports = Ports(*(free_port() for _ in range(5)))
    server = Robbed(f"http://127.0.0.1:{ports.management}", f"http://127.0.0.1:{ports.inference}")
    target = DeploymentTarget(signed, StatePaths(tmp_path, signed.root).verified, server, 1)
    with torchserve(tmp_path, ports), contextlib.closing(server):
        wait_for(server.is_reachable)
        with renaming(others):
            for _ in range(TURNS):
                loads(target)
        server.others = others
        assert loads(target)
        assert not loads(target)  # Nothing but the other archive is there any more.
        assert not marker.exists()
        assert loads(replace(target, registry=other))
        assert marker.exists()
