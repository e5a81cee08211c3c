"""Synthetic rows that travel in the archive: golden rows, and a reference sample.

Golden rows prove that a version scores as its training did: they spread over all scores, and every column of them is
drawn on its own. That makes rows that no traffic has: the simulator's default version flags 15% of such rows and 2% of
the transactions. How two versions score traffic is compared on the reference sample.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import compress
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from contract import dates
from contract.golden import GoldenRows
from contract.schema import Column, Contract, Kind, Missing
from contract.table import Table, read_csv
from history.plan import Plan
from training.export import Scripted

GOLDEN_ROWS = 32
DRAWN_ROWS = 1024
"""Rows drawn to choose the golden ones from, so that these spread over the whole range of scores."""
REFERENCE_ROWS = 2048
NEIGHBOURS = 0.02
"""Share of the rows by which a rank is moved at most: at 2% the scores' stability index against the true rows is .004,
and 2.8 to 3.6% of the rows are flagged instead of 2.2 to 2.5%; at 5% it is .025, and 4.2 to 5.1% are."""
MIN_NEIGHBOURS = 20
QUANTILES = 51
NUMERIC = {Kind.NUMBER, Kind.TIMESTAMP}
UNSEEN = "golden-unseen"
"""A category value that no training data holds."""
_Row = tuple[str, ...]
_HistoryRow = tuple[float | None, ...]


def golden(contract: Contract, newest: Table, scripted: Scripted, seed: int) -> GoldenRows:
    """Synthetic rows, drawn from the newest rows of the data, with the probabilities that they must get.

    Every column is drawn on its own, numbers and times between the quantiles of the data and rounded; ids, entities
    and values that have no code become the golden rows' own; the first row has unseen categories, the second nothing
    that may be missing. A drawn row that equals a transaction is left out, if enough others remain. History
    features, which `newest` has as columns, are drawn like numbers; the first row has their defaults.
    """
    rng = np.random.default_rng(seed)
    columns = {column.name: _cells(column, newest, rng) for column in contract.inputs}
    drawn = _without_data_rows(contract, list(zip(*columns.values(), strict=True)), newest)
    history = _draw_history(contract, _text(contract, drawn[:1]), newest, rng)
    candidates = _scored(contract, drawn, history[: len(drawn)], scripted)
    order = [0, 1, *(2 + np.argsort(candidates.probabilities[2:], kind="stable"))]
    spread = np.linspace(2, len(drawn) - 1, GOLDEN_ROWS - 2).astype(int)
    positions = [int(order[position]) for position in (0, 1, *spread)]
    return _scored(
        contract, [drawn[position] for position in positions], [history[position] for position in positions], scripted
    )


def reference(contract: Contract, newest: Table, scripted: Scripted, seed: int) -> GoldenRows:
    """A sample of the newest rows that scores as they do, and in which no row is a transaction.

    Each number, time and history value is that of another row of nearly the same rank (rank swapping, as statistical
    offices publish samples), in three digits; ids and entities are the sample's own. Categories stay, and a row that
    has become equal to a single transaction is left out.
    """
    rng = np.random.default_rng(seed)
    positions = np.sort(rng.choice(newest.rows, min(REFERENCE_ROWS, newest.rows), replace=False))
    columns = [_swapped_column(column, newest.columns[column.name], rng)[positions] for column in contract.inputs]
    pasts = [_rounded(_swapped(newest.columns[window.name], rng))[positions].tolist() for window in contract.history]
    cells = (
        [_cell(column, value, number) for number, value in enumerate(values.tolist(), 1)]
        for column, values in zip(contract.inputs, columns, strict=True)
    )
    rows, history = list(zip(*cells, strict=True)), _history_rows(pasts, len(positions))
    counts = Counter(_data_rows(contract, newest))
    synthetic = [counts[row] != 1 for row in _without_identifiers(contract, rows)]
    return _scored(contract, list(compress(rows, synthetic)), list(compress(history, synthetic)), scripted)


def _swapped_column(column: Column, values: NDArray[Any], rng: Generator) -> NDArray[Any]:
    """A column's values, numbers and times exchanged among rows of nearly the same rank."""
    return _in_bounds(column, _swapped(values, rng)) if column.kind in NUMERIC else values


def _swapped(values: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """Each value replaced by one of nearly the same rank; what is missing stays missing."""
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.lexsort((rng.random(len(known)), values[known]))]
    most = max(MIN_NEIGHBOURS, round(NEIGHBOURS * len(known)))
    moved = np.arange(len(known)) + rng.integers(-most, most + 1, len(known))
    swapped = values.copy()
    swapped[order] = values[order[np.clip(moved, 0, max(0, len(known) - 1))]]
    return swapped


def _draw_history(contract: Contract, first: str, newest: Table, rng: Generator) -> list[_HistoryRow]:
    """DRAWN_ROWS values of each history feature; the first row has their defaults."""
    features = {window.name: _rounded(_sampled(newest.columns[window.name], rng)) for window in contract.history}
    plan = Plan.of([contract])
    if plan is not None:
        for name, values in plan.default_values(read_csv(contract, first.encode()).table.columns, 1).items():
            features[name][0] = values[0]
    return _history_rows([values.tolist() for values in features.values()], DRAWN_ROWS)


def _history_rows(features: list[list[float]], count: int) -> list[_HistoryRow]:
    """The values of each row, given those of each feature."""
    rows = zip(*features, strict=True) if features else [()] * count
    return [tuple(None if np.isnan(value) else value for value in row) for row in rows]


def _without_data_rows(contract: Contract, drawn: list[_Row], newest: Table) -> list[_Row]:
    """The drawn rows that equal no row of the data; all of them where too few are left, as of two categories alone."""
    real = set(_data_rows(contract, newest))
    others = zip(drawn[2:], _without_identifiers(contract, drawn[2:]), strict=True)
    unreal = drawn[:2] + [row for row, own in others if own not in real]
    return unreal if len(unreal) >= GOLDEN_ROWS else drawn


def _data_rows(contract: Contract, newest: Table) -> Iterator[_Row]:
    """The rows of the data as cells, without ids and entities."""
    cells = [[_cell(column, value, 0) for value in newest.columns[column.name].tolist()] for column in contract.inputs]
    return _without_identifiers(contract, list(zip(*cells, strict=True)))


def _without_identifiers(contract: Contract, rows: list[_Row]) -> Iterator[_Row]:
    """Rows without ids and entities."""
    own = [column.kind not in {Kind.ID, Kind.ENTITY} for column in contract.inputs]
    return (tuple(compress(row, own)) for row in rows)


def _scored(contract: Contract, rows: list[_Row], history: list[_HistoryRow], scripted: Scripted) -> GoldenRows:
    unscored = GoldenRows(_text(contract, rows), (), tuple(history))
    return replace(unscored, probabilities=tuple(map(float, scripted.probabilities(unscored.matrix(contract)))))


def _text(contract: Contract, rows: list[_Row]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(contract.input_names)
    writer.writerows(_fields(contract, row) for row in rows)
    return stream.getvalue()


def _fields(contract: Contract, row: _Row) -> Iterator[str]:
    """A row's cells as a file has them: a time whose clock has a column of its own is parted."""
    for column, cell in zip(contract.inputs, row, strict=True):
        yield from dates.split_parts(cell, len(column.names)) if cell else [""] * len(column.names)


def _cells(column: Column, newest: Table, rng: Generator) -> list[str]:
    """DRAWN_ROWS cells of a column as text."""
    values = newest.columns[column.name]
    values = _in_bounds(column, _sampled(values, rng)) if column.kind in NUMERIC else rng.choice(values, DRAWN_ROWS)
    cells = [_cell(column, value, number) for number, value in enumerate(values.tolist(), 1)]
    if column.kind is Kind.CATEGORY:
        cells[0] = UNSEEN
    if column.missing is Missing.ALLOW:
        cells[1] = ""
    return cells


def _in_bounds(column: Column, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers in three digits, times to the second, within the column's bounds."""
    rounded = np.round(values) if column.kind is Kind.TIMESTAMP else _rounded(values)
    return np.clip(rounded, column.minimum, column.maximum)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers in three digits, as no file's own must have."""
    return np.array([float(f"{number:.3g}") for number in values.tolist()])


def _sampled(values: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """DRAWN_ROWS numbers between the quantiles of these, missing as often as they are."""
    missing = np.isnan(rng.choice(values, DRAWN_ROWS))
    known = values[~np.isnan(values)]
    if not len(known):
        return np.full(DRAWN_ROWS, np.nan)
    positions = np.linspace(0, 1, QUANTILES)
    drawn = np.interp(rng.random(DRAWN_ROWS), positions, np.quantile(known, positions))
    return np.where(missing, np.nan, drawn)


def _cell(column: Column, value: Any, number: int) -> str:  # noqa: ANN401 - a table's cells are text or floats.
    if column.kind in {Kind.ID, Kind.ENTITY}:
        return f"golden-{number}"
    if column.kind is Kind.CATEGORY:
        return value if value in {"", *column.values} else UNSEEN
    if np.isnan(value):
        return ""
    if column.kind is Kind.TIMESTAMP:
        return dates.format_time(column.time_format, float(value), dates.zone_of(column.zone))
    return repr(value)
