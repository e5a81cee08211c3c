"""Which versions does the release gate let pass? Honest ones, of other seeds, and ones that something is wrong with.

`python -m benchmarks.release_gate [DAYS CUSTOMERS TERMINALS EPOCHS]` trains on simulated payments, in a temporary
directory: three versions with seeds 0 to 2, and one for each of MISTAKES, whose data are spoilt as it says. Each
honest pair is compared in both directions; each of the others is to follow the first, and so is the second with what
each of DISTORTIONS done to its scores. Versions score as they are packed, on the reference samples of both. Training's
own check for leaks, which refuses an inverted label before any gate, allows every column.
"""

import itertools
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.decision import DecisionBands
from operations.rollout import shift_gate
from operations.rollout.significance import stability_lower_bound
from operations.store import version_archive
from operations.store.paired_scoring import CsvRows, SamplePair, Scores, VersionScorer
from operations.store.registry import Registry
from operations.store.version_archive import LoadedVersion, load_version
from releases.trial_counts import stability_index
from training.schema import DEFAULT
from training.simulator import Simulation, simulate
from training.train import TrainRequest, train

SEEDS = 3
LABEL, AMOUNT = "is_fraud", "amount"
MISTAKES: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "another column as the label": lambda rows: rows.assign(is_fraud=(rows["channel"] == "phone").astype(int)),
    "the label of the row before": lambda rows: rows.assign(is_fraud=rows[LABEL].shift(fill_value=0)),
    "the label inverted": lambda rows: rows.assign(is_fraud=1 - rows[LABEL]),
    "amounts in cents": lambda rows: rows.assign(amount=rows[AMOUNT] * 100),
}
"""What was wrong with the data that a version was trained on."""


def odds(factor: float) -> Callable[[Scores], Scores]:
    """Scores whose odds are multiplied by a factor."""
    return lambda scores: (factor * scores / (1 - scores + factor * scores)).astype(np.float32)


DISTORTIONS: Mapping[str, Callable[[Scores], Scores]] = {
    "scores upside down": lambda scores: 1 - scores,
    "one score for all": lambda scores: np.full_like(scores, scores.mean()),
    "odds five times too high": odds(5),
    "odds twice too high": odds(2),
}
"""What is done to the scores of an honest version."""


def main() -> None:
    """Trains, compares and prints."""
    days, customers, terminals, epochs = map(int, sys.argv[1:5] or (120, 1500, 2000, 10))
    rows = simulate(Simulation(days=days, customers=customers, terminals=terminals))
    with tempfile.TemporaryDirectory() as directory:
        registry = Registry(Path(directory) / "store")
        seeded = [_trained(registry, rows, seed, epochs) for seed in range(SEEDS)]
        for first, second in itertools.permutations(seeded, 2):
            _print_comparison(
                f"seed {first.card.version - 1}, then {second.card.version - 1}", _compare(registry, first, second)
            )
        for name, mistake in MISTAKES.items():
            _print_comparison(name, _compare(registry, seeded[0], _trained(registry, mistake(rows), 0, epochs)))
        for name, distort in DISTORTIONS.items():
            _print_comparison(name, _compare(registry, seeded[0], seeded[1], distort))
        for name, factor in {"thresholds per cent": 100, "thresholds a hundredth": 0.01}.items():
            _print_comparison(name, _compare(registry, seeded[0], seeded[1], threshold_factor=factor))


def _trained(registry: Registry, rows: pd.DataFrame, seed: int, epochs: int) -> LoadedVersion:
    """The next version, trained on these rows and opened again."""
    version = registry.next_version()
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "rows.parquet"
        rows.to_parquet(data)
        request = TrainRequest(version, Path(directory), data, DEFAULT, seed, epochs, threads=1)
        trained = train(replace(request, allow_leaks=tuple(rows.columns.drop([LABEL, "transaction_id"]))))
        registry.add(trained.archive, trained.card, trained.contract)
    return load_version(registry, version)


def _compare(
    registry: Registry,
    first: LoadedVersion,
    second: LoadedVersion,
    distort: Callable[[Scores], Scores] = lambda scores: scores,
    threshold_factor: float = 1.0,
) -> SamplePair:
    """What the two make of the samples that they brought, where something is done to the second."""

    def distorted(matrix: NDArray[np.float32]) -> Scores:
        return distort(second.score(matrix))

    samples = (version_archive.read_reference(registry, each.card.version) or each.golden for each in (first, second))
    rows = [CsvRows.of(sample, each.contract) for sample, each in zip(samples, (first, second), strict=True)]
    bands = second.card.bands
    thresholds = (min(each * threshold_factor, 1.0) for each in (bands.review, bands.decline))
    ours = VersionScorer(first.contract, first.card.bands, first.score)
    return shift_gate.paired_samples(rows, ours, VersionScorer(second.contract, DecisionBands(*thresholds), distorted))


def _print_comparison(name: str, both: SamplePair) -> None:
    index, least = stability_index(both.before.scores, both.after.scores), stability_lower_bound(both)
    message = "refused" if shift_gate.shift(both) else "passes"
    print(
        f"{name:30} {message:8} stability index {index:.3f}, surely {least:.3f}; "
        f"{both.before.flagged} and {both.after.flagged} of {both.after.rows} flagged",
        flush=True,
    )


if __name__ == "__main__":
    main()
