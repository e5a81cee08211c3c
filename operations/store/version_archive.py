"""One version as its archive describes it, and loaded so that it scores in this process, without TorchServe.

The model is TorchScript and is loaded as such; the handler's code in an archive is never run, for the archive may come
from a backup. torch is imported here, when a version is loaded, and nowhere before.
"""

import io
import json
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.golden import GoldenRows
from contract.model_card import ModelCard
from contract.schema import Contract
from operations.errors import OperationsError
from operations.store.registry import Entry, Registry

MODEL, CONTRACT, CARD, GOLDEN, REFERENCE = "model.pt", "contract.json", "card.json", "golden.json", "reference.json"
LOAD_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, RuntimeError),
    *(ValueError, KeyError, TypeError, AttributeError),
)
"""torch reports a broken model as RuntimeError, and no JSON of another shape than ours is worth its own case."""


@dataclass(frozen=True, slots=True, eq=False)
class ArchiveContents:
    """One version as its archive describes it.

    Attributes:
        model: the TorchScript module's bytes.
    """

    entry: Entry
    contract: Contract
    card: ModelCard
    golden: GoldenRows
    model: bytes


def read_archive(registry: Registry, version: int) -> ArchiveContents:
    """Reads a version from the copy of its archive that was verified.

    Raises:
        OperationsError: there is no such version, its archive is damaged or another's, or cannot be read.
    """
    with registry.verified(version) as verified, load_errors(verified.entry.file):
        with zipfile.ZipFile(verified.archive) as packed:
            held = {name: packed.read(name) for name in (MODEL, CONTRACT, CARD, GOLDEN)}
        contents = ArchiveContents(
            entry=verified.entry,
            contract=Contract.from_bytes(held[CONTRACT]),
            card=ModelCard.from_json(json.loads(held[CARD])),
            golden=GoldenRows.from_json(json.loads(held[GOLDEN])),
            model=held[MODEL],
        )
    if (contents.card.version, contents.contract.fingerprint) != (version, contents.entry.contract_fingerprint):
        raise OperationsError(f"{contents.entry.file} is of another version or contract than its registry entry")
    return contents


def read_reference(registry: Registry, version: int) -> GoldenRows | None:
    """The reference sample of a version; None where its archive has none, as an older one, or is damaged."""
    try:
        with (
            registry.verified(version) as verified,
            load_errors(verified.entry.file),
            zipfile.ZipFile(verified.archive) as packed,
        ):
            return GoldenRows.from_json(json.loads(packed.read(REFERENCE)))
    except OperationsError:
        return None


@contextmanager
def load_errors(file: str) -> Iterator[None]:
    """Turns what a broken archive raises into an error for people; its own words may hold what is in the archive."""
    try:
        yield
    except LOAD_ERRORS as error:
        raise OperationsError(f"{file} cannot be loaded ({type(error).__name__})") from None


@dataclass(frozen=True, slots=True, eq=False)
class LoadedVersion:
    """A version that can score.

    Attributes:
        model: the TorchScript module, on the CPU.
    """

    contract: Contract
    card: ModelCard
    golden: GoldenRows
    model: Any

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probabilities of a matrix of its contract, shape (rows,), in full precision.

        Raises:
            OperationsError: the model is broken.
        """
        import torch

        with load_errors(f"the model of version {self.card.version}"), torch.inference_mode():
            probabilities: NDArray[np.float32] = self.model(torch.from_numpy(matrix)).float().numpy()
            return probabilities.reshape(-1)

    def score_golden(self) -> NDArray[np.float32]:
        """The probabilities of its golden rows; as :meth:`score`."""
        with load_errors(f"the golden rows of version {self.card.version}"):
            matrix = self.golden.matrix(self.contract)
        return self.score(matrix)


def load_version(registry: Registry, version: int) -> LoadedVersion:
    """Opens a version whose archive has just been verified.

    Raises:
        OperationsError: there is no such version, its archive is damaged or another's, or cannot be loaded.
    """
    return load_contents(read_archive(registry, version))


def load_contents(contents: ArchiveContents) -> LoadedVersion:
    """Opens a version whose archive was read before.

    Raises:
        OperationsError: torch cannot load its model.
    """
    with load_errors(contents.entry.file):
        return LoadedVersion(contents.contract, contents.card, contents.golden, _model(contents.model))


def _model(data: bytes) -> Any:  # noqa: ANN401 - torch's type, and torch is imported late.
    import torch

    with warnings.catch_warnings():
        # torch 2.13 deprecates TorchScript, which is what TorchServe's archives hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(io.BytesIO(data), map_location="cpu").eval()  # type: ignore[no-untyped-call]
