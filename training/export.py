"""From a trained network to what an archive carries: TorchScript bytes, and the price of half precision.

Everything is measured on the scripted module as it is read back from its bytes: what is measured is what is served.
"""

import io
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.errors import TrainingError
from training.model import FraudModel

EXACT = 1e-6
"""Largest difference of a probability that scripting may make."""
COMPARED_ROWS = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Scripted:
    """The served form of a model: the bytes of its model.pt, and the module read back from them."""

    data: bytes
    module: torch.jit.ScriptModule

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, shape (rows,)."""
        with torch.inference_mode():
            scores: NDArray[np.float32] = self.module(torch.from_numpy(matrix)).numpy()
        return scores


def script(model: FraudModel, matrix: NDArray[np.float32]) -> Scripted:
    """Scripts the model on the CPU and proves on `matrix` that the scripted one gives the same probabilities.

    Raises:
        TrainingError: it does not.
    """
    model = model.cpu().eval().requires_grad_(requires_grad=False)
    scripted = _round_trip(model)
    rows = matrix[-COMPARED_ROWS:]
    with torch.inference_mode():
        expected = model(torch.from_numpy(rows)).numpy()
    difference = float(np.max(np.abs(scripted.probabilities(rows) - expected), initial=0.0))
    if not difference <= EXACT:
        raise TrainingError(f"The exported model differs from the trained one by {difference:.2g}.")
    return scripted


def _round_trip(model: FraudModel) -> Scripted:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # torch 2.13 deprecates TorchScript, which is still the format that TorchServe 0.12 loads.
        warnings.filterwarnings("ignore", message="`torch.jit", category=DeprecationWarning)
        torch.jit.save(torch.jit.script(model), buffer)
        buffer.seek(0)
        module = torch.jit.load(buffer)  # type: ignore[no-untyped-call]
    return Scripted(buffer.getvalue(), module.eval())


def half_precision(scripted: Scripted, *matrices: NDArray[np.float32]) -> tuple[float, str]:
    """Largest change of a probability under autocast on these rows, and which type and device it was measured on."""
    device, kind = ("cuda", torch.float16) if torch.cuda.is_available() else ("cpu", torch.bfloat16)
    rows = torch.from_numpy(np.concatenate([matrix[-COMPARED_ROWS:] for matrix in matrices])).to(device)
    module = scripted.module.to(device)
    with torch.inference_mode():
        exact = module(rows)
        with torch.autocast(device, dtype=kind):
            half = module(rows)
    scripted.module.cpu()
    return float((exact - half.float()).abs().max()), f"autocast {str(kind).removeprefix('torch.')} on {device}"
