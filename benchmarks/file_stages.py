"""What each stage of scoring a large file takes of the processor, beside the bare limit.

`python -m benchmarks.file_stages` scores the 134,847 transactions of `fraud sample` (10 MB) in one process, without
TorchServe and without Redis, and prints microseconds a row of each stage: the median of several runs, by the
processor's time, so that other work on the machine changes little. The bare limit beside it is what a script would do
that checks nothing: pyarrow reads the file and numpy makes the same matrix without history.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from contract.decision import DecisionBands
from contract.description import Description
from contract.features import to_matrix
from contract.golden import GoldenRows
from contract.model_card import ModelCard
from contract.schema import Contract, Kind
from contract.table import ParsedRows, Table
from gateway import allocator
from gateway.api.csv_answer import as_csv
from gateway.api.replies import as_json
from gateway.models.model_calls import ModelResponse
from gateway.models.score_result import PartialScores, ScoreResult, merge_scores
from gateway.models.serving_versions import AdoptedModel
from gateway.requests.payload import csv_payload
from history.keyed_hash import HistoryKey
from history.plan import Plan
from history.session import BatchSession, HistoryOptions
from training.schema import DEFAULT, load_schema
from training.simulator import Simulation, simulate

ROWS, RUNS = 134_847, 5
NOW = 1.78e9
OPTIONS = HistoryOptions(record=True, known_seconds=30 * 86_400, values_seconds=86_400, key=HistoryKey.of("k" * 32))


@dataclass(slots=True)
class _Clock:
    """Processor seconds of each stage, run by run."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, stage: str, function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - what the function returns
        started = time.process_time()
        result = function(*arguments)
        self.seconds.setdefault(stage, []).append(time.process_time() - started)
        return result

    def microseconds(self, stage: str) -> float:
        return statistics.median(self.seconds[stage]) / ROWS * 1e6


def main() -> None:
    """Measures and prints."""
    allocator.set_up()
    rows = simulate(Simulation(days=400)).drop(columns="is_fraud").head(ROWS)
    body = rows.to_csv(index=False).encode()
    contract = _contract(rows)
    clock = _Clock()
    for _ in range(RUNS):
        _score(clock, contract, body)
        _bare(clock, contract, body)
    print(f"{len(rows):,} rows, {len(body) / 1e6:.1f} MB")
    for stage in clock.seconds:
        print(f"{stage:>24} {clock.microseconds(stage):>8.2f} µs a row")


def _contract(rows: Any) -> Contract:  # noqa: ANN401 - a data frame: pandas is imported where it is made
    schema = load_schema(DEFAULT)
    categories = [column.name for column in schema.contract({}).inputs if column.kind is Kind.CATEGORY]
    return schema.contract({name: tuple(sorted(rows[name].unique())) for name in categories})


def _score(clock: _Clock, contract: Contract, body: bytes) -> None:
    payload = csv_payload(body)
    parsed = clock.measure("parse", payload.read, contract, ())
    history = _history(clock, contract, parsed.table)
    matrix = clock.measure("matrix", to_matrix, contract, parsed.table.extended(history))
    result = clock.measure("decide and merge", _merged, contract, parsed, matrix)
    clock.measure("JSON answer", as_json, result)
    clock.measure("CSV answer", as_csv, result, body)


def _history(clock: _Clock, contract: Contract, table: Table) -> Mapping[str, NDArray[np.float64]]:
    """What the gateway computes of the history; nothing is known before, and nothing is sent."""
    plan = Plan.of([contract])
    assert plan is not None
    column = contract.first(Kind.ID)
    assert column is not None
    ids = table.columns[column.name].tolist()
    session = clock.measure("history: session", BatchSession, plan, table, ids, OPTIONS, NOW)
    clock.measure("history: prepare", session.prepare)
    reads = session.state_reads()
    session.receive_states([*([None] * len(keys) for keys in reads[:-1]), [None, None]])
    values: Mapping[str, NDArray[np.float64]] = clock.measure("history: values", session.values)
    clock.measure("history: commands", _commands, session)
    clock.measure("history: stored", session.store_arguments, values)
    return values


def _commands(session: BatchSession) -> None:
    session.registration()
    claims = list(session.claim_commands())
    session.receive_claims([1] * len(claims))
    session.receive_applied([1] * len(session.apply_calls()))


def _merged(contract: Contract, parsed: ParsedRows, matrix: NDArray[np.float32]) -> ScoreResult:
    probabilities = np.random.default_rng(1).beta(0.3, 6, len(matrix)).astype(np.float32)
    bands = DecisionBands(0.2, 0.6)
    card, golden = ModelCard(1, "", bands, {}, {}, {}, {}, 0.0), GoldenRows("", ())
    model = AdoptedModel(Description(contract, card, golden, "cpu", half_precision=False), bands)
    part = PartialScores(model, np.arange(len(matrix)), ModelResponse(probabilities, 0.0))
    return merge_scores(model, parsed, [part])


def _bare(clock: _Clock, contract: Contract, body: bytes) -> None:
    table = clock.measure("bare: pyarrow.csv", pyarrow.csv.read_csv, pa.BufferReader(body))
    clock.measure("bare: matrix", _bare_matrix, contract, table)


def _bare_matrix(contract: Contract, table: pa.Table) -> NDArray[np.float32]:
    """Number, categories and time as a script would make them."""
    return np.stack([np.asarray(column) for column in _bare_columns(contract, table)], axis=1, dtype=np.float32)


def _bare_columns(contract: Contract, table: pa.Table) -> list[Any]:
    columns = []
    for column in contract.inputs:
        values = table[column.name]
        if column.kind is Kind.NUMBER:
            columns += [values, np.log1p(np.asarray(values))]
        elif column.kind is Kind.CATEGORY:
            columns.append(values.dictionary_encode().combine_chunks().indices)
        elif column.kind is Kind.TIMESTAMP:
            seconds = np.asarray(values.cast("int64")) % 86_400 / 86_400 * 2 * np.pi
            columns += [np.sin(seconds), np.cos(seconds)]
    return columns


if __name__ == "__main__":
    main()
