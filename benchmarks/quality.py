"""How good the network is beside other models: every figure of docs/quality.md, by one command.

`make quality`, or `python -m benchmarks.quality --only book own`, trains each model on each protocol, prints one table
and writes build/quality.json. `--earlier` takes the weeks that settings were chosen on in place of the test weeks. The
data lies in ../shared/data; it is not part of the project.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import quality_sources as sources
from benchmarks.quality_bounds import best_order
from benchmarks.quality_metrics import EvaluationRows, compute_metrics, leads
from benchmarks.quality_models import MODELS, PRODUCT, mean_over_seeds
from benchmarks.quality_protocols import (
    EARLIER_STARTS,
    TEST_STARTS,
    Fold,
    earlier_long_fold,
    handbook_folds,
    long_fold,
)

ROOT = Path(__file__).parents[1]
BOUND = "(bound: the delay of labels)"
BOUNDED = ("average_precision", "average_precision_of_scenario_2", "card_precision_at_100")
COLUMNS = {
    "average_precision": "AP",
    "roc_auc": "AUC",
    "card_precision_at_100": "CP@100",
    "average_precision_of_scenario_1": "sc. 1",
    "average_precision_of_scenario_2": "sc. 2",
    "average_precision_of_scenario_3": "sc. 3",
    "expected_calibration_error": "ECE",
    "calibration_slope": "slope",
}
"""Metrics and how the table calls them."""
SEEDS = {"book": 3, "own": 3, "long": 3, "cards": 5}
"""Trainings of each model that are averaged."""


@dataclass(slots=True, eq=False)
class ProtocolResult:
    """One protocol: each model's scores fold by fold, and the rows they are of."""

    tests: list[EvaluationRows] = field(default_factory=list)
    scores: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    known: list[NDArray[np.bool_]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The mean over folds of each metric by model, and by how much the network leads the others."""
        result: dict[str, Any] = {}
        for name, scores in self.scores.items():
            each = [compute_metrics(evaluated, own) for evaluated, own in zip(self.tests, scores, strict=True)]
            result[name] = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
            result[name]["folds"] = [round(one["average_precision"], 4) for one in each]
            result[name]["processor_seconds_a_training"] = round(self.seconds[name], 1)
        if PRODUCT in self.scores:
            for name, lead in leads(self.tests, self.scores, PRODUCT).items():
                result[name]["lead_of_the_network"] = [round(float(each), 4) for each in lead]
        return result | self._bound()

    def _bound(self) -> dict[str, Any]:
        """The upper bound: terminal frauds are ranked first once labels allow it, all other frauds always."""
        pairs = zip(self.tests, self.known, strict=False)  # Cards have no terminals.
        each = [compute_metrics(evaluated, best_order(known)) for evaluated, known in pairs]
        return {BOUND: {key: float(np.mean([one[key] for one in each])) for key in BOUNDED}} if each else {}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the protocols that are asked for, prints the table and writes the JSON."""
    options = _arguments(arguments)
    if not (options.data / sources.HANDBOOK).exists():
        raise SystemExit(f"The data is not in {options.data}: see its README.")
    result = json.loads(options.out.read_text()) if options.out.exists() and options.only != list(SEEDS) else {}
    for name, folds in _protocols(options):
        outcome = run(folds, MODELS, options.models, options.seeds or SEEDS[name])
        result[name + ("-earlier" if options.earlier else "")] = outcome.to_json()
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(SEEDS), default=list(SEEDS), help="protocols")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=0, help="trainings that are averaged (default: by protocol)")
    parser.add_argument("--earlier", action="store_true", help="the weeks that settings were chosen on")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "quality.json")
    return parser.parse_args(arguments)


Folds = Iterator[tuple[sources.Source, Fold]]


def _protocols(options: argparse.Namespace) -> Iterator[tuple[str, Folds]]:
    """The folds of each protocol, its data read only when its turn comes."""
    makers: dict[str, Callable[[], Folds]] = {
        "book": lambda: _published(sources.book_source(sources.handbook(options.data)), options.earlier),
        "own": lambda: _published(sources.own_source(sources.handbook(options.data), options.data), options.earlier),
        "long": lambda: _long(sources.own_source(sources.handbook(options.data), options.data), options.earlier),
        "cards": lambda: iter([sources.cards_source(options.data)]),
    }
    for name in options.only:
        if options.earlier and name == "cards":
            print("cards: no rows are kept apart for choosing settings, so its test is left alone")
        else:
            yield name, makers[name]()


def _published(source: sources.Source, earlier: bool) -> Folds:
    days = source.evaluated.days
    assert days is not None
    starts = EARLIER_STARTS if earlier else TEST_STARTS
    return ((source, fold) for fold in handbook_folds(days, source.evaluated.cards, source.labels, starts))


def _long(source: sources.Source, earlier: bool) -> Folds:
    assert source.evaluated.days is not None
    yield source, (earlier_long_fold if earlier else long_fold)(source.evaluated.days)


def run(folds: Folds, models: dict[str, Any], names: Sequence[str], seeds: int) -> ProtocolResult:
    """Trains these models on every fold."""
    outcome = ProtocolResult()
    for source, fold in folds:
        task, evaluated, rows = source.cut(fold)
        outcome.tests.append(evaluated)
        if source.known is not None:
            outcome.known.append(source.known[rows])
        for name in names:
            started = time.process_time()
            outcome.scores.setdefault(name, []).append(mean_over_seeds(models[name], task, seeds))
            outcome.seconds[name] = (time.process_time() - started) / seeds
            print(f"{fold.name}: {name}, {outcome.seconds[name]:.0f} s of a processor a training", flush=True)
    return outcome


def table(result: dict[str, Any]) -> str:
    """The outcomes as a Markdown table: a line for each protocol and model."""
    names = [*COLUMNS.values(), "the network leads by (95%)"]
    lines = [f"| protocol | model | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for protocol, models in result.items():
        for model, metrics in models.items():
            cells = [_cell(key, metrics.get(key)) for key in COLUMNS]
            lines.append(f"| {protocol} | {model} | {' | '.join(cells)} | {_lead(metrics)} |")
    return "\n".join(lines)


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if key == "expected_calibration_error" else f"{value:.3f}"


def _lead(metrics: dict[str, Any]) -> str:
    if "lead_of_the_network" not in metrics:
        return ""
    lead, low, high = metrics["lead_of_the_network"]
    return f"{lead:+.3f} ({low:+.3f} to {high:+.3f})"


if __name__ == "__main__":
    main()
