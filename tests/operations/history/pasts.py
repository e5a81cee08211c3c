"""Past transactions to load, versions to load them for, and what a Redis then holds."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from redis import Redis

from contract.golden import GoldenRows
from contract.schema import Column, Contract, Feature, FeatureKind, Kind, Missing
from contract.table import Table, read_csv
from contract.windows import DAY, HOUR, Aggregate, Window
from gateway.history.pipeline import BatchPipeline
from history.epoch import EPOCH
from history.evaluation import with_history
from history.keyed_hash import KEY_CHECK, HistoryKey
from history.plan import Plan
from history.redis_schema import STORE_VALUES, plan_registration
from history.session import BatchSession, HistoryOptions
from history.short_records import decode_records
from operations.history import load, past_file
from operations.history.load import LoadResult, LoadTarget
from operations.history.past_transactions import ParsedFile
from operations.store.registry import Registry
from releases.record import Release
from tests.keys import KEY
from tests.operations.conftest import pack
from tests.timeouts import WAIT_SECONDS
from tests.tiny import card
from tests.valkey import Valkey, running

COLUMNS = (
    Column("transaction_id", Kind.ID, Missing.ALLOW),
    Column("timestamp", Kind.TIMESTAMP),
    Column("card", Kind.ENTITY, Missing.ALLOW),
    Column("shop", Kind.ENTITY, Missing.ALLOW),
    Column("amount", Kind.NUMBER, Missing.ALLOW, minimum=0.0, maximum=1e6),
    Column("channel", Kind.CATEGORY, values=("chip", "online")),
    Column("is_fraud", Kind.LABEL),
)
OF_CARDS = (
    Window(Aggregate.COUNT, "card", None, 30 * DAY, HOUR),
    Window(Aggregate.MEAN, "card", "amount", 7 * DAY, HOUR),
    Window(Aggregate.STD, "card", "amount", 30 * DAY, HOUR),
    Window(Aggregate.MAX, "card", "amount", 30 * DAY, HOUR),
    Window(Aggregate.DISTINCT, "card", "shop", 7 * DAY, HOUR),
    Window(Aggregate.SINCE_LAST, "card", None, 7 * DAY, HOUR),
)
OF_SHOPS = (
    Window(Aggregate.COUNT, "shop", None, 7 * DAY, HOUR, 7 * DAY),
    Window(Aggregate.RISK, "shop", None, 7 * DAY, HOUR, 7 * DAY),
)
OF_DAYS = (
    Window(Aggregate.COUNT, "card", None, 35 * DAY, DAY),
    Window(Aggregate.RISK, "card", None, 14 * DAY, DAY, 7 * DAY),
)
"""Those that a later version brings."""
KNOWN = 12 * DAY
"""Less than the windows: a third of what is loaded enters by its ids, the rest only counts."""
HEADER = "transaction_id,timestamp,card,shop,amount,channel,is_fraud"
FIRST = np.datetime64("2026-01-01T00:00:00")


def contract(*windows: Window) -> Contract:
    """A contract with this history."""
    features = tuple(Feature(window.name, FeatureKind.NUMBER, window.name) for window in windows)
    return Contract("cards", COLUMNS, (Feature("amount", FeatureKind.NUMBER, "amount"), *features), windows)


CARDS = contract(*OF_CARDS, *OF_SHOPS)
LATER = contract(*OF_CARDS, *OF_DAYS)
"""Has the states of cards by the hour, as CARDS, none of shops, and states of cards by the day."""


def rows(count: int, *, seed: int = 1, days: float = 45.0, first: str = "t") -> list[str]:
    """Rows of a file in order of time, labelled."""
    draw = np.random.default_rng(seed)
    times = FIRST + np.sort(draw.integers(0, int(days * DAY), count)).astype("timedelta64[s]")
    return [
        f"{first}{number},{moment},c{holder},s{shop},{amount:.2f},{'chip' if number % 3 else 'online'},{fraud:d}"
        for number, (moment, holder, shop, amount, fraud) in enumerate(
            zip(
                times, draw.integers(0, 40, count), draw.integers(0, 25, count), draw.lognormal(3, 1, count),
                draw.random(count) < 0.05, strict=True,
            )
        )
    ]  # fmt: skip


def text(lines: Sequence[str]) -> bytes:
    """A file of these rows."""
    return "\n".join([HEADER, *lines, ""]).encode()


def without_labels(lines: Sequence[str]) -> bytes:
    """A file of these rows, whose label nobody knows."""
    return "\n".join(line.rpartition(",")[0] for line in [HEADER, *lines, ""]).encode()


@contextmanager
def redis(directory: Path) -> Iterator[tuple[Valkey, Redis]]:
    """A Valkey of its own, and a client of it that takes bytes as they are."""
    directory.mkdir(exist_ok=True)
    with running(directory) as valkey, closing(client_of(valkey)) as client:
        yield valkey, client


def client_of(valkey: Valkey) -> Redis:
    """A client that takes bytes as they are."""
    return Redis.from_url(valkey.url, socket_timeout=5.0, retry=None)


def plan_of(*contracts: Contract) -> Plan:
    """The plan of the first one, and of what it can give to the others."""
    plan = Plan.of(contracts)
    assert plan
    return plan


def read(body: bytes, plan: Plan, of: Contract = CARDS) -> ParsedFile:
    """What a file holds."""
    return past_file.read_bytes(of, plan, body, quiet)


def loaded(url: str, body: bytes, plan: Plan, of: Contract = CARDS, key: HistoryKey = KEY) -> LoadResult:
    """Loads a file."""
    target = LoadTarget(url, plan, KNOWN, key)
    return load.load(target, read(body, plan, of), quiet)


def quiet(done: int, whole: int) -> None:
    """Hears nothing."""


def live(  # noqa: PLR0913 - likewise
    client: Redis, plan: Plan, body: bytes, *, record: bool = True, size: int = 700, key: HistoryKey = KEY
) -> dict[str, Any]:
    """What the gateway does with a file, a few rows after the other; the values of the last ones."""
    for command in plan_registration([plan]) if record else ():
        client.execute_command(*command)  # type: ignore[no-untyped-call]
    table = read_csv(CARDS, body).table
    values: dict[str, Any] = {}
    for at in range(0, table.rows, size):
        part = table.take(np.arange(at, min(at + size, table.rows)))
        values = _entered(client, plan, part, key, record=record)
    return values


def _entered(client: Redis, plan: Plan, part: Table, key: HistoryKey, *, record: bool) -> dict[str, Any]:
    options, now = HistoryOptions(record, KNOWN, DAY, key), float(part.columns["timestamp"].max())
    session = BatchSession(plan, part, part.columns["transaction_id"].tolist(), options, now)
    if key.check:
        client.setnx(KEY_CHECK, key.check)
    pipeline = BatchPipeline(client, key)
    if session.large:
        session.receive_states(pipeline.read(session))
    pipeline.enter(session)
    values = session.values()
    if stored := session.store_arguments(values):
        client.eval(STORE_VALUES, 0, *stored)
    return values


def states(client: Redis, plan: Plan) -> dict[bytes, list[Any]]:
    """What Redis holds of each entity, as one record for each bucket: equal lists mean the same."""
    layouts = {layout.digest: layout for layout in plan.layouts}
    result = {}
    for key in client.scan_iter(b"fraud:h:*"):
        layout = layouts[key[8:16]]
        state = cast("bytes", client.get(key))
        records = decode_records(layout, np.array([len(state)]), state)[0].records
        _, merged = layout.merged(records["bucket"].astype(np.int64), records)
        result[key] = [tuple(round(float(value), 6) for value in record) for record in merged.tolist()]
    return result


def dump(client: Redis) -> dict[bytes, Any]:
    """All keys but the epoch, which is of chance, byte for byte."""
    keys = [key for key in client.scan_iter(b"fraud:*", count=1000) if key != EPOCH]
    return {key: _content(client, key) for key in keys}


def _content(client: Redis, key: bytes) -> Any:  # noqa: ANN401 - of any type of key
    kind = client.type(key)
    if kind == b"zset":
        return client.zrange(key, 0, -1, withscores=True)
    return client.hgetall(key) if kind == b"hash" else client.get(key)  # type: ignore[arg-type]


def trained(
    plan_contract: Contract, before: Sequence[str], probe: Sequence[str], confirmed: Sequence[float] | None = None
) -> dict[str, Any]:
    """The values that training gives the probe, after what came before; `confirmed` is when the labels of that came."""
    table = read_csv(plan_contract, text([*before, *probe]), with_label=True).table
    frauds = table.columns["is_fraud"] == "1"
    frauds[len(before) :] = False
    known = None if confirmed is None else np.append(confirmed, np.full(len(probe), np.nan))
    whole = with_history(plan_contract, table, frauds, known)
    return {window.name: whole.columns[window.name][len(before) :] for window in plan_contract.history}


def assert_same(values: dict[str, Any], expected: dict[str, Any]) -> None:
    """Both have the same numbers."""
    for name, numbers in expected.items():
        assert values[name] == pytest.approx(numbers, abs=1e-6, nan_ok=True), name


def add(registry: Registry, version: int, of: Contract, **card_fields: Any) -> None:  # noqa: ANN401 - any field of a card
    """Adds a version with this contract; its model is never loaded."""
    described = replace(card(version), **{"data": {"sha256": "0" * 64}, **card_fields})
    golden = GoldenRows("", (), ())
    contents = {
        "model.pt": b"a model", "contract.json": of.to_bytes(), "card.json": described.to_bytes(),
        "golden.json": json.dumps(golden.to_json()).encode(),
    }  # fmt: skip
    directory = registry.root.parent
    directory.mkdir(exist_ok=True)
    registry.add(pack(directory / f"built-{version}.mar", contents), described, of)


def make_live(registry: Registry, version: int) -> None:
    """Writes the release record."""
    (registry.root / "release.json").write_bytes(Release(version, None, "2026-01-01T00:00:00+00:00").to_bytes())


def wait_for(what: Any) -> None:  # noqa: ANN401 - any condition
    """Until it holds."""
    until = time.monotonic() + WAIT_SECONDS
    while not what():
        assert time.monotonic() < until
        time.sleep(0.001)
