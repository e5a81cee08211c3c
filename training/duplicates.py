"""Duplicate rows: they are counted, because a row that was trained on says nothing when it is tested on.

Counted are ids that more than one row has, and rows that differ in nothing but their id; of both, those that are in
the training period and in a later one. Rows that differ in their time too are reported where they are many: a file
whose frauds were multiplied looks so, and a shop with one price as well.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.schema import Contract, Kind
from training.data import LabelledTransactions
from training.quantity import quantity
from training.split import Split

MANY = 0.01
"""The share of the later rows from which those that differ only in id and time are reported."""
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""Makes the order of the columns count."""


def duplicate_notes(contract: Contract, data: LabelledTransactions, cut: Split) -> tuple[str, ...]:
    """Notes on duplicate rows for the model card, without values."""
    return (*_ids(contract, data, cut), *_rows(contract, data, cut))


def _ids(contract: Contract, data: LabelledTransactions, cut: Split) -> tuple[str, ...]:
    column = contract.first(Kind.ID)
    if column is None:
        return ()
    ids = data.table.columns[column.name]
    codes = np.where(ids == "", np.uint64(0), _hashed(ids))
    repeated = _repeated(codes[codes != 0])
    if not repeated:
        return ()
    return (
        f"The same {column.name} again in {quantity(repeated, 'row')}, {_shared(codes, cut):,} of them in a later "
        "period than training; the service would count each once.",
    )


def _rows(contract: Contract, data: LabelledTransactions, cut: Split) -> tuple[str, ...]:
    content = _content(contract, data, {Kind.ID})
    repeated, shared = _repeated(content), _shared(content, cut)
    notes = [
        f"Rows that another one equals in all but the id: {repeated:,}, {shared:,} of them in a later period than "
        "training."
    ]
    timeless = _shared(_content(contract, data, {Kind.ID, Kind.TIMESTAMP}), cut)
    later = sum(size for name, size in cut.sizes().items() if name != "train")
    if timeless > shared and timeless >= MANY * later:
        notes.append(
            f"Rows of later periods that equal one of the training period in all but id and time: {timeless:,} of "
            f"{later:,}. Were rows multiplied? Then the figures are too good."
        )
    return tuple(notes) if repeated else tuple(notes[1:])


def _content(contract: Contract, data: LabelledTransactions, without: Iterable[Kind]) -> NDArray[np.uint64]:
    """A number for each row's cells, shape (rows,): equal cells, equal numbers."""
    result = np.zeros(data.rows, dtype=np.uint64)
    for column in (column for column in contract.columns if column.kind not in without):
        result = result * MULTIPLIER + _hashed(data.table.columns[column.name])
    return result


def _hashed(values: NDArray[np.generic]) -> NDArray[np.uint64]:
    hashed: NDArray[np.uint64] = pd.util.hash_array(values, categorize=values.dtype == object)
    return hashed


def _repeated(codes: NDArray[np.uint64]) -> int:
    """Rows beyond the first of each code."""
    return len(codes) - len(np.unique(codes))


def _shared(codes: NDArray[np.uint64], cut: Split) -> int:
    """Rows of validation and test whose code a training row has; 0 is no code."""
    later = np.concatenate([codes[cut.validation], codes[cut.test]])
    return int((np.isin(later, codes[cut.train]) & (later != 0)).sum())
