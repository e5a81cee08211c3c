"""A version opened from its archive, scoring in this process: no TorchServe.

The model is TorchScript and is loaded as such; the handler's code in an archive is never run, for the archive may come
from a backup. torch is imported here, when a version is opened, and nowhere before.
"""

import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.card import ModelCard
from contract.golden import GoldenRows
from contract.schema import Contract
from operations.store import archived
from operations.store.archived import ArchiveContents, load_errors
from operations.store.registry import Registry


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
    return load_contents(archived.read(registry, version))


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
