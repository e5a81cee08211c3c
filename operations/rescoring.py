"""Scores the golden rows of archives again, without TorchServe: `fraud backup verify`.

The model is TorchScript and is loaded as such; the handler's code in an archive is not run, for the archive comes
from a backup. torch is imported here and nowhere before.
"""

import io
import json
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.golden import TOLERANCE, Golden
from contract.schema import Contract
from operations import backup
from operations.errors import OperationsError
from operations.registry import Entry, Registry
from operations.release import recorded
from operations.settings import Layout

MODEL, CONTRACT, CARD, GOLDEN = "model.pt", "contract.json", "card.json", "golden.json"


@dataclass(frozen=True, slots=True)
class Rescored:
    """What became of one version.

    Attributes:
        live: whether the release record names it.
        rows: how many golden rows it has.
        difference: the largest of a probability from the one that training computed.
        fault: why it could not be scored; empty if it could.
    """

    version: int
    live: bool
    rows: int = 0
    difference: float = float("inf")
    fault: str = ""

    @property
    def good(self) -> bool:
        """Whether it scores as it did in training."""
        return self.difference <= TOLERANCE  # Not so for NaN.

    def __str__(self) -> str:
        """One line for a person."""
        name = f"version {self.version}{' (live)' if self.live else ''}"
        if self.fault:
            return f"{name}: {self.fault}"
        verdict = "as in training" if self.good else "OTHERWISE THAN IN TRAINING"
        return f"{name}: {self.rows} golden rows score {verdict}, largest difference {self.difference:.1e}"


def rescore(file: Path) -> Iterator[Rescored]:
    """Restores a backup into a scratch directory and scores the golden rows of each version in it, oldest first.

    Raises:
        OperationsError: the backup is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="fraud-verify-") as scratch:
        layout = Layout(Path(scratch), Path(scratch) / "model_store")
        backup.restore(file, layout)
        registry, record = Registry(layout.store), recorded(layout.store)
        live = record.version if record else None
        for entry in registry.entries():
            yield _rescored(registry, entry, live=entry.version == live)
        if live is not None:
            registry.entry(live)


def _rescored(registry: Registry, entry: Entry, *, live: bool) -> Rescored:
    try:
        golden, probabilities = _score(registry.verify(entry.version), entry)
    except OperationsError as error:
        return Rescored(entry.version, live, fault=str(error))
    # torch reports a broken model as RuntimeError, and no JSON of another shape than ours is worth its own case.
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        return Rescored(entry.version, live, fault=f"its archive cannot be loaded ({type(error).__name__})")
    return Rescored(entry.version, live, len(probabilities), golden.difference(probabilities))


def _score(archive: Path, entry: Entry) -> tuple[Golden, NDArray[np.float32]]:
    contents = _contents(archive)
    contract = Contract.from_bytes(contents[CONTRACT])
    golden = Golden.from_json(json.loads(contents[GOLDEN]))
    found = (json.loads(contents[CARD])["version"], contract.fingerprint)
    if found != (entry.version, entry.contract_fingerprint):
        raise OperationsError("its archive is of another version or contract than its registry entry")
    return golden, _probabilities(contents[MODEL], golden.matrix(contract))


def _contents(archive: Path) -> Mapping[str, bytes]:
    """The files of an archive that a score needs; `Registry.verify` has just compared each with its checksum."""
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in (MODEL, CONTRACT, CARD, GOLDEN)}


def _probabilities(model: bytes, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    import torch

    with warnings.catch_warnings(), torch.inference_mode():
        # torch 2.13 deprecates TorchScript, which is what TorchServe's archives hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        loaded = torch.jit.load(io.BytesIO(model), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        probabilities: NDArray[np.float32] = loaded(torch.from_numpy(matrix)).float().numpy()
    return probabilities.reshape(-1)
