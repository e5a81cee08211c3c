"""The model on a GPU: `python -m benchmarks.gpu` (`make bench-gpu`). Without CUDA it says so, and measures nothing.

Frames of 1 to 1,000,000 rows go through the handler, as TorchServe calls it: bytes in, bytes out, with both copies
between memory and GPU. Beside it stand bare loops over the same module on rows that lie on the GPU already: in float32,
under autocast to half precision, frozen for inference, and replayed from a CUDA graph. torch.compile takes no
TorchScript module, so it is not among them. The figures go into benchmarks/results/gpu.json too.
"""

import json
import logging
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.comparison import versions
from benchmarks.comparison.results import FOLDER
from contract.frame import Frame
from handlers.fraud_handler import FraudHandler

BATCHES = (1, 32, 1024, 8192, 65_536, 1_000_000)
RUNS, SECONDS = 5, 0.3
"""Runs of each, of which the median counts, and about how long all of them take."""
NOT_RUN = "There is no CUDA device here: the GPU benchmark was not run, and there are no figures."

Run = Callable[[], object]


@dataclass(frozen=True, slots=True)
class GpuMeasurement:
    """One way of scoring a batch.

    Attributes:
        milliseconds: of one call; None where this way is not possible.
        reason: why not.
    """

    way: str
    rows: int
    milliseconds: float | None
    reason: str = ""

    @property
    def rows_per_second(self) -> float | None:
        """Rows scored in a second."""
        return self.rows / self.milliseconds * 1e3 if self.milliseconds else None


class Device:
    """A version on one device, and the ways of scoring a matrix there."""

    def __init__(self, unpacked: Path, device: torch.device) -> None:
        """Loads the version by the handler, once as it is and once for half precision.

        Args:
            unpacked: an unpacked archive.
            device: CUDA; a CPU serves tests.
        """
        self.device = device
        self._handlers = {half: _handler(unpacked, device, half=half) for half in (False, True)}
        self.width = self._handlers[False].description.contract.width

    def ways(self, matrix: NDArray[np.float32]) -> Iterator[tuple[str, Callable[[], Run]]]:
        """The ways, each as a function that prepares a call."""
        for half, name in ((False, "float32"), (True, "half precision")):
            yield f"handler, {name}", lambda half=half: self._handled(matrix, half=half)  # type: ignore[misc] # bound now
        module, rows = self._handlers[False].model, torch.from_numpy(matrix).to(self.device)
        yield "bare loop, float32", lambda: lambda: module(rows)
        yield "bare loop, half precision", lambda: lambda: _autocast(module, rows)
        yield "bare loop, frozen", lambda: _frozen(module, rows)
        yield "bare loop, CUDA graph", lambda: _graph(module, rows)

    def _handled(self, matrix: NDArray[np.float32], *, half: bool) -> Run:
        handler = self._handlers[half]
        description = handler.description
        body = bytearray(Frame(description.version, description.contract.fingerprint, matrix).to_bytes())
        context: Any = SimpleNamespace(
            set_response_content_type=lambda *_: None, set_response_status=lambda *_: sys.exit("the frame was refused")
        )
        return lambda: handler.handle([{"body": body}], context)

    def measure(self, rows: int) -> Iterator[GpuMeasurement]:
        """Every way of scoring so many rows."""
        matrix = np.random.default_rng(0).random((rows, self.width), dtype=np.float32)
        for way, prepare in self.ways(matrix):
            try:
                with torch.inference_mode():
                    yield GpuMeasurement(way, rows, self._milliseconds(prepare()))
            except RuntimeError as error:
                yield GpuMeasurement(way, rows, None, str(error).strip().splitlines()[-1][:120])

    def _milliseconds(self, run: Run) -> float:
        first = self._timed(run, 2)
        times = max(1, int(SECONDS / RUNS / max(first, 1e-6)))
        return statistics.median(self._timed(run, times) for _ in range(RUNS)) * 1e3

    def _timed(self, run: Run, times: int) -> float:
        """Seconds of one call."""
        self._wait()
        began = time.perf_counter()
        for _ in range(times):
            run()
        self._wait()
        return (time.perf_counter() - began) / times

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _handler(unpacked: Path, device: torch.device, *, half: bool) -> FraudHandler:
    handler = FraudHandler()
    number = (device.index or 0) if device.type == "cuda" else None
    version = json.loads((unpacked / "card.json").read_bytes())["version"]
    context: Any = SimpleNamespace(
        system_properties={"model_dir": str(unpacked), "gpu_id": number},
        manifest={"model": {"modelVersion": str(version)}},
    )
    root = logging.getLogger()
    level = root.level
    with _half_precision(is_on=half):
        handler.initialize(context)
    root.setLevel(level)  # It hushes the process, which it takes for a worker.
    return handler


@contextmanager
def _half_precision(*, is_on: bool) -> Iterator[None]:
    """What the handler reads of its environment."""
    before = os.environ.get("HALF_PRECISION")
    os.environ["HALF_PRECISION"] = "1" if is_on else ""
    try:
        yield
    finally:
        os.environ["HALF_PRECISION"] = before or ""


def _autocast(module: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    half = torch.float16 if rows.device.type == "cuda" else torch.bfloat16
    with torch.autocast(rows.device.type, dtype=half):
        scores: torch.Tensor = module(rows)
    return scores


def _frozen(module: torch.nn.Module, rows: torch.Tensor) -> Run:
    with warnings.catch_warnings():
        # torch 2.13 deprecates TorchScript, which is what TorchServe's archives hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        frozen = torch.jit.freeze(module)
    return lambda: frozen(rows)


def _graph(module: torch.nn.Module, rows: torch.Tensor) -> Run:
    """A replay of what one call launched; it computes from the same memory again.

    Raises:
        RuntimeError: there is no CUDA, or the module does what a graph cannot hold.
    """
    if rows.device.type != "cuda":
        raise RuntimeError("a graph needs CUDA")
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            module(rows)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        module(rows)
    return graph.replay


def table(measurements: list[GpuMeasurement]) -> str:
    """Milliseconds of a call and thousand rows a second, a line for each way and batch."""
    lines = [f"{'rows':>9}  {'way':26} {'ms':>10} {'thousand rows/s':>16}"]
    for each in measurements:
        figures = (
            f"{each.milliseconds:>10.3f} {each.rows_per_second / 1e3:>16,.1f}"
            if each.milliseconds and each.rows_per_second
            else f"not possible: {each.reason}"
        )
        lines.append(f"{each.rows:>9,}  {each.way:26} {figures}")
    return "\n".join(lines)


def main() -> None:
    """Measures and prints, if there is a GPU."""
    if not torch.cuda.is_available():
        print(NOT_RUN)
        return
    history, _ = versions.trained()
    device = Device(history.unpacked, torch.device("cuda", 0))
    measurements = [each for rows in BATCHES for each in device.measure(rows)]
    name = torch.cuda.get_device_name(0)
    print(f"{name}, torch {torch.__version__}, the default model\n{table(measurements)}")
    FOLDER.mkdir(exist_ok=True)
    content = {"device": name, "torch": torch.__version__, "measurements": [asdict(each) for each in measurements]}
    (FOLDER / "gpu.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
