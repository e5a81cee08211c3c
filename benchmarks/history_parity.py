"""The largest differences between training's history features and serving's, on real rows.

`python -m benchmarks.history_parity ../shared/data/handbook/transactions.parquet` takes 300,000 rows of the Fraud
Detection Handbook's data in order of time. Training computes the book's twelve windows and three more over the whole
table. Serving gets them as a gateway does, from a Valkey of its own, in batches of random sizes, each followed by the
labels of its frauds. Compared are the last 100,000 rows, behind a month of past. Measured: the largest
difference is 1.8e-13.
"""

import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from redis import Redis

from contract.schema import Contract, Kind
from contract.table import Table
from gateway.history.pipeline import BatchPipeline
from history.evaluation import with_history
from history.keyed_hash import ADOPT_KEY, HistoryKey
from history.known_ids import FIND_TRANSACTIONS
from history.label_update import LABELS_PER_UPDATE, UPDATE_LABELS, LabelUpdate
from history.plan import Plan
from history.redis_schema import MERGE, STORE_VALUES
from history.session import BatchSession, HistoryOptions
from tests.valkey import running
from training import data
from training.schema import load_schema

ROWS, COMPARED = 300_000, 100_000
SIZES = (1, 1, 10, 500, 3_000)
SCHEMA = Path(__file__).with_name("handbook.toml")
BOUND = 1e-6
FOREVER = 10**8
KEY = HistoryKey([bytes(32)])


def main(file: Path) -> None:
    """Compares, prints, and fails where they differ."""
    contract = load_schema(SCHEMA).contract({})
    rows = data.load(contract, file)
    table, frauds = rows.table.take(np.arange(ROWS)), rows.labels[:ROWS]
    trained = with_history(contract, table, frauds)
    with tempfile.TemporaryDirectory() as directory, running(Path(directory)) as valkey:
        redis = Redis.from_url(valkey.url)
        _run(redis, ADOPT_KEY, (KEY.check,))
        served = _served(contract, table, frauds, redis)
    worst = {name: _difference(trained.columns[name], values) for name, values in served.items()}
    for name, difference in worst.items():
        print(f"{difference:.1e}  {name}")
    print(f"largest difference on {COMPARED:,} rows: {max(worst.values()):.1e}")
    assert max(worst.values()) < BOUND


def _difference(trained: NDArray[np.float64], served: NDArray[np.float64]) -> float:
    ours, other_values = trained[-COMPARED:], served[-COMPARED:]
    assert np.array_equal(np.isnan(ours), np.isnan(other_values)), "one has a value where the other has none"
    return float(np.nanmax(np.abs(ours - other_values)))


def _served(
    contract: Contract, table: Table, frauds: NDArray[np.bool_], redis: Redis
) -> dict[str, NDArray[np.float64]]:
    plan, identity = Plan.of([contract]), contract.first(Kind.ID)
    assert plan is not None
    assert identity is not None
    draw, at = random.Random(1), 0  # noqa: S311 - sizes, no secret
    result = {name: np.empty(table.rows) for name in plan.names}
    while at < table.rows:
        rows = np.arange(at, min(at + draw.choice(SIZES), table.rows))
        some = table.take(rows)
        ids = some.columns[identity.name].tolist()
        for name, values in _entered(plan, some, ids, redis).items():
            result[name][rows] = values
        _label(plan, [each for each, fraud in zip(ids, frauds[rows].tolist(), strict=True) if fraud], redis)
        at += len(rows)
    return result


def _entered(plan: Plan, table: Table, ids: list[str], redis: Redis) -> dict[str, NDArray[np.float64]]:
    session = BatchSession(plan, table, ids, HistoryOptions(True, FOREVER, FOREVER, KEY), time.time())
    pipeline = BatchPipeline(redis)
    if session.large:
        session.receive_states(pipeline.read(session))
    pipeline.enter(session)
    values = session.values()
    if stored := session.store_arguments(values):
        _run(redis, STORE_VALUES, stored)
    if merges := session.merge_arguments():
        _run(redis, MERGE, merges)
    return values


def _label(plan: Plan, ids: list[str], redis: Redis) -> None:
    """Says that these were frauds; a confirmation before the delay counts when the delay is over."""
    for begin in range(0, len(ids), LABELS_PER_UPDATE):
        some = ids[begin : begin + LABELS_PER_UPDATE]
        certain = np.ones(len(some), dtype=np.bool_)
        update = LabelUpdate(plan, KEY.transactions.digests(some), certain, np.zeros(len(some)), 0.0)
        while arguments := update.find_arguments():
            update.receive_transactions(cast("list[bytes]", redis.eval(FIND_TRANSACTIONS, 0, *arguments)))
            update.receive_stored_labels([None] * len(update.stored_label_reads()))
            if arguments := update.arguments():
                update.receive_conflicts(_run(redis, UPDATE_LABELS, arguments))


def _run(redis: Redis, script: str, arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - a script's own
    return redis.register_script(script)(args=list(arguments))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
