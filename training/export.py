"""From a trained network to what an archive carries: TorchScript bytes, golden rows, the price of half precision.

Everything is measured on the scripted module as it is read back from its bytes: what is measured is what is served.
"""

import csv
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from contract import dates
from contract.golden import Golden
from contract.history import Plan
from contract.schema import Column, Contract, Kind, Missing
from contract.table import Table, read_csv
from training.errors import TrainingError
from training.model import FraudModel

GOLDEN_ROWS = 32
DRAWN_ROWS = 1024
"""Rows drawn to choose the golden ones from, so that these spread over the whole range of scores."""
EXACT = 1e-6
"""Largest difference of a probability that scripting may make."""
COMPARED_ROWS = 20_000
QUANTILES = 51
NUMERIC = {Kind.NUMBER, Kind.TIMESTAMP}
UNSEEN = "golden-unseen"
"""A category value that no training data holds."""


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


def golden(contract: Contract, newest: Table, scripted: Scripted, seed: int) -> Golden:
    """Rows that are nobody's, from the newest rows of the data, with the probabilities that they must get.

    Every column is drawn on its own, numbers and times between the quantiles of the data and rounded; ids, entities
    and values that have no code become the golden rows' own; the first row has unseen categories, the second nothing
    that may be missing. What chance made equal to a transaction is not taken, if there is anything else. History
    features, which `newest` has as columns, are drawn like numbers; the first row has none of a past.
    """
    draw = np.random.default_rng(seed)
    columns = {column.name: _cells(column, newest, draw) for column in contract.inputs}
    drawn = _unreal(contract, list(zip(*columns.values(), strict=True)), newest)
    past = _past(contract, _text(contract, drawn[:1]), newest, draw)
    candidates = _scored(contract, drawn, past[: len(drawn)], scripted)
    order = [0, 1, *(2 + np.argsort(candidates.probabilities[2:], kind="stable"))]
    spread = np.linspace(2, len(drawn) - 1, GOLDEN_ROWS - 2).astype(int)
    places = [int(order[place]) for place in (0, 1, *spread)]
    return _scored(contract, [drawn[place] for place in places], [past[place] for place in places], scripted)


def _past(contract: Contract, first: str, newest: Table, draw: Generator) -> list[tuple[float | None, ...]]:
    """DRAWN_ROWS values of each history feature; the first row's are neutral."""
    features = {window.name: _number(newest.columns[window.name], draw) for window in contract.history}
    plan = Plan.of([contract])
    if plan is not None:
        for name, values in plan.neutral(read_csv(contract, first.encode()).table.columns, 1).items():
            features[name][0] = values[0]
    rows = zip(*(values.tolist() for values in features.values()), strict=True) if features else [()] * DRAWN_ROWS
    return [tuple(None if np.isnan(value) else value for value in row) for row in rows]


def _unreal(contract: Contract, drawn: list[tuple[str, ...]], newest: Table) -> list[tuple[str, ...]]:
    """The drawn rows that equal no row of the data; all of them where too few are left, as of two categories alone."""
    own = [column.kind not in {Kind.ID, Kind.ENTITY} for column in contract.inputs]
    cells = [[_cell(column, value, 0) for value in newest.columns[column.name].tolist()] for column in contract.inputs]
    real = {tuple(compress(row, own)) for row in zip(*cells, strict=True)}
    unreal = drawn[:2] + [row for row in drawn[2:] if tuple(compress(row, own)) not in real]
    return unreal if len(unreal) >= GOLDEN_ROWS else drawn


def _scored(
    contract: Contract, rows: list[tuple[str, ...]], past: list[tuple[float | None, ...]], scripted: Scripted
) -> Golden:
    unscored = Golden(_text(contract, rows), (), tuple(past))
    return replace(unscored, probabilities=tuple(map(float, scripted.probabilities(unscored.matrix(contract)))))


def _text(contract: Contract, rows: list[tuple[str, ...]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(contract.input_names)
    writer.writerows(_fields(contract, row) for row in rows)
    return stream.getvalue()


def _fields(contract: Contract, row: tuple[str, ...]) -> Iterator[str]:
    """A row's cells as a file has them: a time whose clock has a column of its own is parted."""
    for column, cell in zip(contract.inputs, row, strict=True):
        yield from dates.parted(cell) if column.clock else (cell,)


def _cells(column: Column, newest: Table, draw: Generator) -> list[str]:
    """DRAWN_ROWS cells of a column as text."""
    values = newest.columns[column.name]
    values = _between(column, values, draw) if column.kind in NUMERIC else draw.choice(values, DRAWN_ROWS)
    cells = [_cell(column, value, number) for number, value in enumerate(values.tolist(), 1)]
    if column.kind is Kind.CATEGORY:
        cells[0] = UNSEEN
    if column.missing is Missing.ALLOW:
        cells[1] = ""
    return cells


def _between(column: Column, values: NDArray[np.float64], draw: Generator) -> NDArray[np.float64]:
    """Numbers as the column's that are nobody's."""
    drawn = np.round(_spread(values, draw)) if column.kind is Kind.TIMESTAMP else _number(values, draw)
    return np.clip(drawn, column.minimum, column.maximum)


def _number(values: NDArray[np.float64], draw: Generator) -> NDArray[np.float64]:
    """DRAWN_ROWS numbers of three digits."""
    return np.array([float(f"{number:.3g}") for number in _spread(values, draw).tolist()])


def _spread(values: NDArray[np.float64], draw: Generator) -> NDArray[np.float64]:
    """DRAWN_ROWS numbers between the quantiles of these, missing as often as they are."""
    missing = np.isnan(draw.choice(values, DRAWN_ROWS))
    known = values[~np.isnan(values)]
    if not len(known):
        return np.full(DRAWN_ROWS, np.nan)
    places = np.linspace(0, 1, QUANTILES)
    drawn = np.interp(draw.random(DRAWN_ROWS), places, np.quantile(known, places))
    return np.where(missing, np.nan, drawn)


def _cell(column: Column, value: Any, number: int) -> str:  # noqa: ANN401 - a table's cells are text or floats.
    if column.kind in {Kind.ID, Kind.ENTITY}:
        return f"golden-{number}"
    if column.kind is Kind.CATEGORY:
        return value if value in {"", *column.values} else UNSEEN
    if np.isnan(value):
        return ""
    if column.kind is Kind.TIMESTAMP:
        return dates.written(column.time_format, float(value))
    return repr(value)
