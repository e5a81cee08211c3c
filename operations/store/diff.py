"""How two versions differ: in their columns, and in what they make of the same rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from contract.schema import Column, Contract, Kind
from operations.store import paired_scoring, version_archive
from operations.store.model_card_view import bounds
from operations.store.paired_scoring import CsvRows, Scores, ScoreSample, VersionScorer
from operations.store.registry import Registry
from operations.store.version_archive import ArchiveContents, LoadedVersion, load_contents, load_errors
from releases.trial_counts import stability_index


@dataclass(frozen=True, slots=True)
class ColumnDifference:
    """Where two contracts' columns differ.

    Attributes:
        first: names that only the first has.
        second: names that only the second has.
        changed: by name, what is otherwise, in words.
        features: whether the features differ that are made of them.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    changed: dict[str, str]
    features: bool


@dataclass(frozen=True, slots=True)
class SharedGoldenRows:
    """Golden rows, and how many of them both versions can read."""

    of: tuple[int, ...]
    rows: int
    shared: int


@dataclass(frozen=True, slots=True)
class ScoreDifference:
    """What two versions make of the same rows, of which there is at least one.

    Attributes:
        largest: difference of a probability.
        mean: difference of a probability, absolute.
        differ: rows that they decide differently, each by the thresholds of its own card.
        flagged: share of the rows that the first, and the second, does not approve.
        stability: population stability index of the second's scores against the first's.
    """

    rows: int
    largest: float
    mean: float
    differ: int
    flagged: tuple[float, float]
    stability: float

    @classmethod
    def of(cls, first: tuple[LoadedVersion, Scores], second: tuple[LoadedVersion, Scores]) -> Self:
        """Compares the probabilities of the same rows, shape (rows,) each."""
        decided = [opened.card.bands.decide(scores) for opened, scores in (first, second)]
        before, after = (ScoreSample.of(opened.card.bands, scores) for opened, scores in (first, second))
        apart = np.abs(second[1].astype(np.float64) - first[1])
        return cls(
            rows=len(apart),
            largest=float(apart.max()),
            mean=float(apart.mean()),
            differ=sum(one is not other for one, other in zip(*decided, strict=True)),
            flagged=(before.alert_rate, after.alert_rate),
            stability=stability_index(before.scores, after.scores),
        )


@dataclass(frozen=True, slots=True, eq=False)
class VersionDifference:
    """Two versions side by side.

    Attributes:
        scored: None where both can read none of the golden rows.
    """

    first: ArchiveContents
    second: ArchiveContents
    columns: ColumnDifference
    golden: tuple[SharedGoldenRows, ...]
    scored: ScoreDifference | None


def compare_versions(registry: Registry, first: int, second: int) -> VersionDifference:
    """Compares two versions; both score the golden rows of each.

    Raises:
        OperationsError: one does not exist, does not verify, or cannot be loaded.
    """
    contents = version_archive.read_archive(registry, first), version_archive.read_archive(registry, second)
    golden, scored = compare_scores(load_contents(contents[0]), load_contents(contents[1]))
    return VersionDifference(*contents, compare_columns(contents[0].contract, contents[1].contract), golden, scored)


def compare_columns(first: Contract, second: Contract) -> ColumnDifference:
    """Compares the columns of two contracts by name; their order in a file is of no matter."""
    before, after = ({column.name: column for column in each.columns} for each in (first, second))
    both = {name: "; ".join(_changes(before[name], after[name])) for name in before if name in after}
    return ColumnDifference(
        first=tuple(name for name in before if name not in after),
        second=tuple(name for name in after if name not in before),
        changed={name: words for name, words in both.items() if words},
        features=first.features != second.features,
    )


def compare_scores(
    first: LoadedVersion, second: LoadedVersion
) -> tuple[tuple[SharedGoldenRows, ...], ScoreDifference | None]:
    """Scores the golden rows of both versions by both; None where no row can be read by both.

    Raises:
        OperationsError: a model is broken.
    """
    owners: dict[str, list[LoadedVersion]] = {}
    for each in (first, second):
        owners.setdefault(each.golden.csv, []).append(each)
    scorers = [VersionScorer(each.contract, each.card.bands, each.score) for each in (first, second)]
    with load_errors("golden.json"):
        rows = [CsvRows.of(of[0].golden, of[0].contract) for of in owners.values()]
    pairs = [paired_scoring.score_shared_rows(each, *scorers) for each in rows]
    golden = tuple(_golden(of, len(pair[0])) for of, pair in zip(owners.values(), pairs, strict=True))
    before, after = (np.concatenate(each) for each in zip(*pairs, strict=True))
    return golden, ScoreDifference.of((first, before), (second, after)) if len(before) else None


def _golden(of: list[LoadedVersion], shared: int) -> SharedGoldenRows:
    versions = dict.fromkeys(each.card.version for each in of)
    return SharedGoldenRows(tuple(versions), len(of[0].golden.probabilities), shared)


def _changes(before: Column, after: Column) -> Iterator[str]:
    """What is otherwise, in words; of category values how many, for they are cell values."""
    for what in ("kind", "missing"):
        if (old := getattr(before, what)) != (new := getattr(after, what)):
            yield f"{what}: {old} -> {new}"
    if before.kind is not after.kind:
        return
    if before.kind is Kind.CATEGORY:
        yield from _values(before.values, after.values)
    elif bounds(before) != bounds(after) or (before.minimum, before.maximum) != (after.minimum, after.maximum):
        yield f"values: {bounds(before) or 'any'} -> {bounds(after) or 'any'}"


def _values(before: tuple[str, ...], after: tuple[str, ...]) -> Iterator[str]:
    if set(before) != set(after):
        yield f"values: {len(set(after) - set(before))} added, {len(set(before) - set(after))} removed"
    elif before != after:
        yield "values: in another order"
