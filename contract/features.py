"""Columns to the float32 matrix that a model reads: the one feature path of training and serving.

NaN in the matrix is a missing number, imputed inside the model. A category is a code: 0 unknown, 1 missing,
2 and up the contract's values in their order.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.schema import Column, Contract, FeatureKind, Kind, Missing
from contract.table import Table

UNKNOWN, MISSING, FIRST_VALUE = 0, 1, 2
DAY_SECONDS = 86_400.0
DAYS_PER_WEEK = 7
HISTORY_COLUMN = Column("history", Kind.NUMBER, Missing.ALLOW)
"""Stands for each history feature, which features read as a column of numbers."""
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""


def to_matrix(contract: Contract, table: Table) -> NDArray[np.float32]:
    """Computes every feature of every row: float32, shape (rows, contract.width), C order.

    The table has the contract's history features as columns beside those of the file (`history.evaluation`).
    """
    columns = {column.name: column for column in contract.columns}
    matrix = np.empty((table.rows, contract.width), dtype=np.float32)
    for position, feature in enumerate(contract.features):
        column, encoded = columns.get(feature.column, HISTORY_COLUMN), table.encoded.get(feature.column)
        if encoded and feature.kind is FeatureKind.CATEGORY:
            matrix[:, position] = _category(column, encoded.values)[encoded.indices]
        else:
            matrix[:, position] = _COMPUTE[feature.kind](column, table.columns[feature.column])
    return matrix


def _number(_: Column, values: NDArray[Any]) -> NDArray[Any]:
    return values


def _log(_: Column, values: NDArray[Any]) -> NDArray[Any]:
    logs: NDArray[Any] = np.sign(values) * np.log1p(np.abs(values))
    return logs


def _category(column: Column, values: NDArray[Any]) -> NDArray[Any]:
    codes = _codes(column.values)
    return np.array([codes.get(value, UNKNOWN) for value in values.tolist()], dtype=np.float32)


@cache
def _codes(values: tuple[str, ...]) -> Mapping[str, int]:
    return {value: code for code, value in enumerate(values, FIRST_VALUE)} | {"": MISSING}


def _hour_angle(seconds: NDArray[Any]) -> NDArray[Any]:
    return 2 * np.pi * ((seconds % DAY_SECONDS) / DAY_SECONDS)


def _weekday_angle(seconds: NDArray[Any]) -> NDArray[Any]:
    weekday = (np.floor(seconds / DAY_SECONDS) + EPOCH_WEEKDAY) % DAYS_PER_WEEK
    return 2 * np.pi * (weekday / DAYS_PER_WEEK)


_COMPUTE: dict[FeatureKind, Callable[[Column, NDArray[Any]], NDArray[Any]]] = {
    FeatureKind.NUMBER: _number,
    FeatureKind.LOG: _log,
    FeatureKind.CATEGORY: _category,
    FeatureKind.HOUR_SIN: lambda _, seconds: np.sin(_hour_angle(seconds)),
    FeatureKind.HOUR_COS: lambda _, seconds: np.cos(_hour_angle(seconds)),
    FeatureKind.WEEKDAY_SIN: lambda _, seconds: np.sin(_weekday_angle(seconds)),
    FeatureKind.WEEKDAY_COS: lambda _, seconds: np.cos(_weekday_angle(seconds)),
}
