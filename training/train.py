"""The use cases: data and a schema in, a version's archive out; and a sample file to try the service with.

This module alone knows all the others; it only composes them. Everything that a repetition needs is in the card.
"""

import math
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from contract.features import to_matrix
from contract.golden import GoldenRows
from contract.model_card import ModelCard
from contract.schema import Contract, Kind
from contract.windows import DAY, Aggregate
from training import archive, data, evaluation, export, leaks, loop, threshold_choice
from training.ablation import default_history_matrix, history_ablation, without_history
from training.amounts import amount_of
from training.archive import Parts
from training.checkpoint import Checkpoints
from training.duplicates import duplicate_notes
from training.errors import TrainingError
from training.fitting import FittedModel, TrainingSettings, fit
from training.golden import golden as golden_rows
from training.golden import reference
from training.infer import infer_schema
from training.labelled_history import with_labelled_history
from training.model import ModelConfig
from training.progress import Reporter, silent
from training.quantity import quantity
from training.ranges import ranges
from training.report.document import Document, document, short
from training.report.subject import PeriodRows, Subject
from training.schema import DEFAULT, Schema, load_schema, parse_schema
from training.schema_history import LABEL_DELAY
from training.simulator import Simulation, simulate
from training.split import Split, known_rows, split
from training.tune import Tuned, tune

NEWEST_ROWS = 5000
"""The rows at the end of the data that golden rows and the reference sample are drawn from."""
FEW_FRAUDS = 30
MIN_TRANSACTIONS_A_DAY = 2000
"""Transactions; the simulator's customers make about 2,500 a day."""
LIBRARIES = ("numpy", "pandas", "scikit-learn", "torch", "torch-model-archiver")


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What to train.

    Attributes:
        version: the model's number, from 1; an archive of that number in `out` is replaced.
        out: the directory for the archive, made where it is missing.
        data: labelled CSV or parquet file; None trains on the simulator.
        schema: its schema file; None infers one. The simulator has its own.
        threads: of torch; 0 takes half of the cores (:func:`training.resources.threads`).
        tune: settings to try first, for the best of which the version is trained; 0 takes the usual ones.
        checkpoints: where the state of the training is kept meanwhile.
        handler: source of the handler that serves the archive; None takes the installed one.
        allow_leaks: columns that may tell the label alone: they are known when a transaction is scored.
        decision_options: an alert budget, what mistakes cost, which column is the amount.
        compare: whether the report that is packed with the version compares it with other models on the same split.
    """

    version: int
    out: Path
    data: Path | None = None
    schema: Path | None = None
    seed: int = 0
    epochs: int = 10
    threads: int = 0
    simulation: Simulation = field(default_factory=Simulation)
    network: ModelConfig = field(default_factory=ModelConfig)
    policy: evaluation.ThresholdPolicy = field(default_factory=evaluation.ThresholdPolicy)
    tune: int = 0
    checkpoints: Checkpoints = field(default_factory=lambda: Checkpoints(None))
    handler: Path | None = None
    allow_leaks: tuple[str, ...] = ()
    decision_options: threshold_choice.DecisionOptions = field(default_factory=threshold_choice.DecisionOptions)
    compare: bool = False

    def __post_init__(self) -> None:
        """Refuses a version that no archive can have, and a schema without the data it describes."""
        if self.version < 1:
            raise TrainingError("The version must be a whole number from 1.")
        if self.schema is not None and self.data is None:
            raise TrainingError("A schema was given without data: give both, or neither to use the simulator.")


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A version that is ready to be registered, what its archive was packed of, and the wall time it took."""

    archive: Path
    parts: Parts
    seconds: float

    @property
    def contract(self) -> Contract:
        """Its columns and features."""
        return self.parts.contract

    @property
    def card(self) -> ModelCard:
        """Its model card."""
        return self.parts.card

    @property
    def golden(self) -> GoldenRows:
        """Its golden rows."""
        return self.parts.golden


@dataclass(frozen=True, slots=True, eq=False)
class _Periods:
    """The data, history features included, cut into periods under the contract that was learned from the first.

    `places` are the positions of each period's rows, without those whose labels came too late.
    """

    contract: Contract
    labelled: data.LabelledTransactions
    cut: Split
    places: Mapping[str, NDArray[np.int64]]
    train: loop.Examples
    validation: loop.Examples
    test: loop.Examples


def train(request: TrainRequest, reporter: Reporter | None = None) -> Trained:
    """Trains a version and writes its archive.

    Raises:
        TrainingError: the data, the schema or the request cannot be used; the message says what to change.
    """
    started = time.monotonic()
    reporter = reporter or silent()
    handler = archive.installed_handler() if request.handler is None else request.handler.read_bytes()
    periods = _prepare(request, reporter)
    with loop.reproducible(request.seed, request.threads):
        tuned = _choose_settings(request, periods, reporter)
        fitted = replace(_fit(request, periods, tuned.settings, reporter), tuning=tuned.facts)
        without = _scores_without(request, periods, tuned.settings, reporter)
        parts = _parts(request, periods, fitted, handler, without)
    path = archive.build(parts, request.out)
    request.checkpoints.clear()
    reporter.say(f"wrote {path.name}: {_summary(parts.card)}")
    return Trained(path, parts, time.monotonic() - started)


def renumbered(trained: Trained, version: int) -> Trained:
    """The same version under another number, its archive packed again beside the first: seconds, not a training.

    Raises:
        TrainingError: as :func:`training.archive.build`.
    """
    parts = replace(trained.parts, card=replace(trained.card, version=version))
    return replace(trained, archive=archive.build(parts, trained.archive.parent), parts=parts)


def read(contract: Contract, request: TrainRequest) -> data.LabelledTransactions:
    """The transactions of a request, with the columns of a contract.

    Raises:
        TrainingError: as :func:`training.data.load`.
    """
    if request.data is None:
        return data.from_csv(contract, data.csv_bytes(simulate(request.simulation)))
    return data.load(contract, request.data)


def write_sample(path: Path, *, rows: int = 1000, label: bool = False) -> int:
    """Writes simulated transactions that training never saw as a CSV file; returns how many.

    They are of the default model's own customers and terminals, whose past it has learned from, in the days after the
    training's. The label is left out unless asked for.
    """
    after = Simulation(days=math.ceil(rows / MIN_TRANSACTIONS_A_DAY), first_day=Simulation().days)
    frame = simulate(after).head(rows)
    frame = frame.assign(timestamp=frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S"))
    path.parent.mkdir(parents=True, exist_ok=True)
    (frame if label else frame.drop(columns="is_fraud")).to_csv(path, index=False, lineterminator="\n")
    return len(frame)


def _prepare(request: TrainRequest, reporter: Reporter) -> _Periods:
    schema, labelled = _read(request)
    reporter.say(f"{quantity(labelled.rows, 'transaction')}, {int(labelled.labels.sum()):,} of them fraud")
    cut = split(labelled.rows, labelled.seconds, _label_delay(schema))
    contract = _fitted_contract(schema, labelled, cut)
    labelled = data.respelled(contract, labelled)
    allowed = leaks.check_leaks(contract, labelled, cut.train, (*request.allow_leaks, *schema.allowed_leaks))
    amount_of(contract, request.decision_options.amount)  # Refused before the training, not after it.
    known, late = known_rows(cut, labelled.seconds, labelled.confirmed)
    notes = (*labelled.notes, *duplicate_notes(contract, labelled, cut), *late, *allowed)
    # Over the whole data: history looks back alone, and a period's rows have those before it as their past.
    labelled = replace(labelled, table=with_labelled_history(contract, labelled), notes=notes)
    rows = {name: _rows(contract, labelled, positions) for name, positions in known.items()}
    _check_both_classes(rows["train"])
    return _Periods(contract, labelled, cut, known, **rows)


def _rows(contract: Contract, labelled: data.LabelledTransactions, positions: NDArray[np.int64]) -> loop.Examples:
    rows = labelled.take(positions)
    weights = None if rows.weights is None else (rows.weights / rows.weights.mean()).astype(np.float32)
    return loop.Examples(
        to_matrix(contract, rows.table), rows.labels, default_history_matrix(contract, rows.table), weights
    )


def _label_delay(schema: Schema) -> float:
    """The time that labels take to arrive: the longest that a risk feature allows for."""
    risks = (window.delay for window in schema.contract({}).history if window.aggregate is Aggregate.RISK)
    return max([LABEL_DELAY, *map(float, risks)])


def _read(request: TrainRequest) -> tuple[Schema, data.LabelledTransactions]:
    if request.data is None:
        schema = load_schema(DEFAULT)
    else:
        schema = parse_schema(infer_schema(request.data)) if request.schema is None else load_schema(request.schema)
    return schema, read(data.with_spellings(schema.contract({})), request)


def _fitted_contract(schema: Schema, labelled: data.LabelledTransactions, cut: Split) -> Contract:
    """The contract with the category values of the training period: later ones must be as unknown as in service."""
    vocabularies = {
        column.name: data.vocabulary(
            labelled.table.columns[column.name][cut.train], column.min_count, column.max_categories, column.match
        )
        for column in schema.columns
        if column.kind is Kind.CATEGORY
    }
    return schema.contract(vocabularies)


def _check_both_classes(rows: loop.Examples) -> None:
    if not rows.both_classes:
        which = "fraud" if not rows.labels.any() else "genuine transaction"
        raise TrainingError(
            f"The training period (the oldest {len(rows.labels)} rows) has no {which}: there is nothing to tell apart. "
            "Add older or more data, or check which column is the label."
        )


def _choose_settings(request: TrainRequest, periods: _Periods, reporter: Reporter) -> Tuned:
    """The usual settings, or the best of those that were tried."""
    usual = TrainingSettings(request.network, loop.LoopConfig(epochs=request.epochs))
    if not request.tune:
        return Tuned(usual, {})

    def attempt(settings: TrainingSettings) -> float:
        return _fit(request, periods, settings, reporter).run.score

    return tune(usual, request.tune, request.seed, attempt, reporter)


def _fit(request: TrainRequest, periods: _Periods, settings: TrainingSettings, reporter: Reporter) -> FittedModel:
    with loop.reproducible(request.seed, request.threads):
        return fit(periods.contract, (periods.train, periods.validation), settings, reporter, request.checkpoints)


def _scores_without(
    request: TrainRequest, periods: _Periods, settings: TrainingSettings, reporter: Reporter
) -> evaluation.Scores | None:
    """What the same training, from the same seed, gives the test period without history."""
    narrower = without_history(periods.contract)
    if narrower is None:
        return None
    contract, features = narrower

    def narrowed(rows: loop.Examples) -> loop.Examples:
        return loop.Examples(np.ascontiguousarray(rows.matrix[:, features]), rows.labels, weights=rows.weights)

    reporter.say("once more without history, to tell what it is worth:")
    train, validation = narrowed(periods.train), narrowed(periods.validation)
    plain = replace(periods, contract=contract, train=train, validation=validation)
    return loop.probabilities(_fit(request, plain, settings, reporter).model, narrowed(periods.test).matrix)


def _parts(
    request: TrainRequest, periods: _Periods, fitted: FittedModel, handler: bytes, without: evaluation.Scores | None
) -> Parts:
    scripted = export.script(fitted.model, periods.validation.matrix)
    newest = periods.labelled.table.take(np.arange(max(0, periods.labelled.rows - NEWEST_ROWS), periods.labelled.rows))
    golden = golden_rows(periods.contract, newest, scripted, request.seed)
    card = _card(request, periods, fitted, scripted, golden)
    card = replace(card, history=_worth(periods, scripted, without, card))
    report = _report(request, periods, scripted, card)
    card = replace(card, evaluation=short(report) if report else {})
    sample = reference(periods.contract, newest, scripted, request.seed)
    return Parts(scripted.data, periods.contract, card, golden, handler, report, sample)


def _report(request: TrainRequest, periods: _Periods, scripted: export.Scripted, card: ModelCard) -> Document | None:
    """The long form of the model card; None where the test period cannot tell one model from another."""
    if not periods.test.both_classes:
        return None
    facts = {name: card.data[name] for name in ("source", "sha256", "rows", "frauds")} | {"same": True}
    subject = Subject(periods.contract, card, scripted.probabilities, _part(periods, "test"), data=facts)
    if request.compare:
        subject = replace(subject, train=_part(periods, "train"), validation=_part(periods, "validation"))
    return document(subject, compare=request.compare, threads=torch.get_num_threads(), seed=request.seed)


def _part(periods: _Periods, name: str) -> PeriodRows:
    rows: loop.Examples = getattr(periods, name)
    labelled = periods.labelled.take(periods.places[name])
    return PeriodRows(labelled.table, rows.matrix, rows.labels, labelled.row_weights, labelled.seconds)


def _card(
    request: TrainRequest, periods: _Periods, fitted: FittedModel, scripted: export.Scripted, golden: GoldenRows
) -> ModelCard:
    difference, measured = export.half_precision(scripted, periods.validation.matrix, golden.matrix(periods.contract))
    amount = amount_of(periods.contract, request.decision_options.amount)
    parts = {name: _part(periods, name) for name in ("validation", "test")}
    scored = {name: part.scored(scripted.probabilities(part.matrix), amount.column) for name, part in parts.items()}
    decided = threshold_choice.choose_thresholds(
        scored["validation"], scored["test"], request.policy, request.decision_options, amount
    )
    return ModelCard(
        version=request.version,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        bands=decided.bands,
        metrics={
            name: evaluation.measure(period.scores, period.labels, decided.bands, period.weights)
            for name, period in scored.items()
        },
        data=_data_facts(request, periods),
        settings=_settings(request, periods.contract, fitted) | {"half_precision": measured},
        libraries={name: installed(name) for name in LIBRARIES} | {"python": platform.python_version()},
        half_precision_difference=difference,
        notes=(
            *periods.labelled.notes,
            *periods.cut.notes,
            *_class_notes(periods),
            *fitted.calibration.notes,
            *decided.notes,
        ),
        decisions=decided.card,
    )


def _worth(
    periods: _Periods, scripted: export.Scripted, without: evaluation.Scores | None, card: ModelCard
) -> dict[str, Any]:
    test = periods.test
    if test.default_history is None:
        return {}
    scores = {"with": scripted.probabilities(test.matrix), "neutral": scripted.probabilities(test.default_history)}
    scores |= {} if without is None else {"without": without}
    return history_ablation(test.labels, scores, card.bands, periods.labelled.row_weights[periods.places["test"]])


def _data_facts(request: TrainRequest, periods: _Periods) -> dict[str, Any]:
    """Where the data came from and how it was cut; of the path only the file's name."""
    labelled, cut = periods.labelled, periods.cut
    source: object = request.data.name if request.data else {"simulator": asdict(request.simulation)}
    return {
        "source": source,
        "sha256": labelled.sha256,
        "rows": labelled.rows,
        "frauds": int(labelled.labels.sum()),
        "gap_days": cut.gap / DAY,
        "ranges": ranges(periods.contract, labelled.table.take(np.arange(cut.train.start, cut.train.stop))),
        "periods": {name: _period(periods, part) for name, part in cut.periods().items()},
    }


def _period(periods: _Periods, part: slice) -> dict[str, Any]:
    labelled = periods.labelled
    rows, frauds = part.stop - part.start, int(labelled.labels[part].sum())
    facts: dict[str, Any] = {"start": part.start, "rows": rows, "frauds": frauds}
    if labelled.seconds is None:
        return facts
    timed = labelled.seconds[part][np.isfinite(labelled.seconds[part])]
    first, last = (data.moment(periods.contract, timed[end]) if len(timed) else None for end in (0, -1))
    return facts | {"first": first, "last": last}


def _class_notes(periods: _Periods) -> tuple[str, ...]:
    notes = [
        f"The {name} period holds one class only: its ranking could not be measured."
        for name, rows in (("validation", periods.validation), ("test", periods.test))
        if not rows.both_classes
    ]
    frauds = int(periods.train.labels.sum())
    if frauds < FEW_FRAUDS:
        notes.append(f"The training period has only {quantity(frauds, 'fraud')}: expect little of this model.")
    return tuple(notes)


def _settings(request: TrainRequest, contract: Contract, fitted: FittedModel) -> dict[str, Any]:
    return {
        "seed": request.seed,
        "epochs": request.epochs,
        "network": asdict(fitted.settings.network),
        "policy": asdict(request.policy) | {"wishes": asdict(request.decision_options)},
        "loop": asdict(fitted.settings.loop),
        **({"tuning": fitted.tuning} if fitted.tuning else {}),
        "run": asdict(fitted.run),
        "calibration": {"slope": fitted.calibration.slope, "intercept": fitted.calibration.intercept},
        "contract": {"name": contract.name, "fingerprint": contract.fingerprint},
        "device": fitted.device,
        "threads": torch.get_num_threads(),
    }


def _summary(card: ModelCard) -> str:
    precision = card.metrics["test"].get("average_precision")
    measured = "not measurable: one class" if precision is None else f"{precision:.3f}"
    without = card.history.get("average_precision", {}).get("without")
    difference = "" if without is None else f", {without:.3f} without history"
    return f"average precision {measured} on the test period{difference}"
