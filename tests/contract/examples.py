"""A contract with a column of every kind, files that fit it, and strategies that several modules draw from."""

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import strategies as st

from contract.schema import Column, Contract, Feature, FeatureKind, Kind, Missing, TimeFormat
from contract.table import Table

COLUMNS = (
    Column("id", Kind.ID),
    Column("time", Kind.TIMESTAMP),
    Column("amount", Kind.NUMBER, minimum=0.0, maximum=10_000.0),
    Column("age", Kind.NUMBER, Missing.ALLOW),
    Column("since", Kind.TIMESTAMP, Missing.ALLOW, time_format=TimeFormat.SECONDS),
    Column("channel", Kind.CATEGORY, Missing.ALLOW, values=("chip", "online")),
    Column("card", Kind.ENTITY, Missing.ALLOW),
    Column("fraud", Kind.LABEL),
)
FEATURES = (
    Feature("amount", FeatureKind.NUMBER, "amount"),
    Feature("log_age", FeatureKind.LOG, "age"),
    Feature("channel", FeatureKind.CATEGORY, "channel"),
    Feature("hour_sin", FeatureKind.HOUR_SIN, "time"),
    Feature("weekday_cos", FeatureKind.WEEKDAY_COS, "since"),
)
CONTRACT = Contract("example", COLUMNS, FEATURES)
INPUTS = tuple(column.name for column in CONTRACT.inputs)
GOOD = {
    "id": "t-1",
    "time": "2026-01-01T10:00:00",
    "amount": "12.5",
    "age": "30",
    "since": "86400",
    "channel": "chip",
    "card": "c-1",
}
AS_JSON = GOOD | {"amount": 12.5, "age": 30, "since": 86400}

JSON_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400)
JSON_VALUES = st.recursive(
    JSON_LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)


def csv_bytes(rows: Sequence[Mapping[str, str]], names: Sequence[str] = INPUTS) -> bytes:
    """A file of these rows, every cell quoted."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    writer.writerows([[row[name] for name in names] for row in rows])
    return text.getvalue().encode()


def lines(*rows: str) -> bytes:
    """A file of these lines below the header of all inputs."""
    return "\n".join([",".join(INPUTS), *rows, ""]).encode()


def assert_same(left: Table, right: Table) -> None:
    """Both tables hold the same values; the numbers of their rows may differ."""
    assert left.columns.keys() == right.columns.keys()
    for name, values in left.columns.items():
        np.testing.assert_array_equal(values, right.columns[name])
