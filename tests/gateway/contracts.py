"""Contracts of every shape, a version of the tiny model for each, and rows that fit them or do not."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from starlette.testclient import TestClient

from contract.schema import Column, Contract, Feature, FeatureKind, Kind, Missing, TimeFormat
from contract.table import read_csv
from contract.windows import DAY, HOUR, NUMBER_AGGREGATES, Aggregate, Window
from gateway.app import create_app
from gateway.settings import GatewaySettings
from history.evaluation import with_history
from releases.record import Release
from tests.gateway.remembering import CARDS
from tests.gateway.waiting import until
from tests.keys import HISTORY_KEY
from tests.tiny import CONTRACT, TinyServer, write_version

Row = dict[str, object]


def _window(aggregate: Aggregate) -> Window:
    column = "amount" if aggregate in NUMBER_AGGREGATES else "shop" if aggregate is Aggregate.DISTINCT else None
    return Window(aggregate, "card", column, 7 * DAY, HOUR, 7 * DAY if aggregate is Aggregate.RISK else 0)


WINDOWS = tuple(map(_window, Aggregate))
EVERYTHING = Contract(
    "everything",
    (
        Column("payment", Kind.ID, Missing.ALLOW),
        Column("day", Kind.TIMESTAMP, time_format=TimeFormat.DAY_FIRST, clock="clock"),
        Column("card", Kind.ENTITY, Missing.ALLOW),
        Column("shop", Kind.ENTITY),
        Column("amount", Kind.NUMBER, minimum=0.0, maximum=10_000.0),
        Column("age", Kind.NUMBER, Missing.ALLOW),
        Column("channel", Kind.CATEGORY, values=("chip", "online")),
        Column("country", Kind.CATEGORY, Missing.ALLOW),
        Column("opened", Kind.TIMESTAMP, Missing.ALLOW, time_format=TimeFormat.MILLISECONDS),
        Column("fraud", Kind.LABEL),
        Column("times", Kind.WEIGHT),
    ),
    (
        *(Feature(window.name, FeatureKind.NUMBER, window.name) for window in WINDOWS),
        *(Feature(f"{kind}", kind, "day") for kind in FeatureKind if "_" in kind),
        Feature("log", FeatureKind.LOG, "age"),
        Feature("channel", FeatureKind.CATEGORY, "channel"),
    ),
    WINDOWS,
)
"""A column of every kind, a feature of every kind and each aggregate."""
NAMELESS = Contract(
    "nameless",
    (
        Column("amount", Kind.NUMBER),
        Column("time", Kind.TIMESTAMP, time_format=TimeFormat.SECONDS),
        Column("mark", Kind.CATEGORY, Missing.ALLOW),
    ),
    (Feature("amount", FeatureKind.NUMBER, "amount"),),
)
"""No id, no entity, no label, no history, and a time that is a number."""
CONTRACTS = (CONTRACT, CARDS, EVERYTHING, NAMELESS)
LONG = "x" * 257


def good_row(contract: Contract, identity: str = "t-1") -> Row:
    """A transaction that the contract reads, as JSON holds it."""
    return {name: value for column in contract.inputs for name, value in _good(column, identity).items()}


def _good(column: Column, identity: str) -> Row:
    if column.clock:
        return {column.name: "31/01/2026", column.clock: "18:05"}
    texts = {Kind.ID: identity, Kind.CATEGORY: (*column.values, "any")[0], Kind.ENTITY: "c-1"}
    moment = 1.7e9 if column.time_format.is_number else "2026-01-31T18:05:00"
    return {column.name: {**texts, Kind.NUMBER: 12.5, Kind.TIMESTAMP: moment}[column.kind]}


def bad_values(column: Column) -> list[object]:
    """Values that a column refuses, as JSON holds them."""
    missing = [None] if column.missing is Missing.REFUSE else []
    if column.kind is Kind.NUMBER or (column.kind is Kind.TIMESTAMP and column.time_format.is_number):
        return ["abc", True, [], 10**400, 1e300, *missing]
    if column.kind is Kind.TIMESTAMP:
        return [5, {}, "abc", "2026-13-01", *missing]
    return [5, [], {}, "\ud800", LONG, *missing]


def bad_texts(column: Column) -> list[str]:
    """Cells of a CSV file that a column refuses."""
    missing = [" "] if column.missing is Missing.REFUSE else []
    number = column.kind is Kind.NUMBER or column.time_format.is_number
    return [*(["abc", "nan", "1e999", "1_0"] if number or column.kind is Kind.TIMESTAMP else [LONG]), *missing]


def as_csv(contract: Contract, rows: Sequence[Mapping[str, object]]) -> str:
    """A file of these rows."""
    return as_lines([contract.input_names, *([row.get(name, "") for name in contract.input_names] for row in rows)])


def as_lines(records: Sequence[Sequence[object]]) -> str:
    """A file of these records, the header among them."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(records)
    return text.getvalue()


def write_live(directory: Path, contract: Contract) -> TinyServer:
    """A model server that holds version 1 of a contract; its history is what one golden row sees: nothing."""
    golden = as_csv(contract, [good_row(contract)])
    table = with_history(contract, read_csv(contract, golden.encode()).table, None)
    seen = tuple(table.columns[window.name][0].item() for window in contract.history)
    history = (tuple(None if math.isnan(value) else value for value in seen),) if seen else ()
    server = TinyServer()
    server.serve(write_version(directory / "v1", 1, contract, golden, history=history))
    return server


def settings_of(directory: Path, **settings: object) -> dict[str, object]:
    """Version 1 is live."""
    record = directory / "release.json"
    record.write_bytes(Release(1, None, datetime.now(UTC).isoformat()).to_bytes())
    given = {"api_key": "test-key", "history_key": HISTORY_KEY, "release_record": record, "follow_seconds": 0.01}
    return given | {"deadline_seconds": 5, **settings}


@contextmanager
def served(directory: Path, contract: Contract, **settings: object) -> Iterator[TestClient]:
    """A gateway whose live version has this contract."""
    given = settings_of(directory, **settings)
    app = create_app(GatewaySettings.model_validate(given), transport=write_live(directory, contract))
    with TestClient(app, headers={"X-API-Key": "test-key"}, raise_server_exceptions=False) as client:
        until(lambda: client.get("/v1/contract").is_success)
        yield client
