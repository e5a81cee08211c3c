"""The same figures by month, by week and by segment: whether a version is good everywhere, or good on average.

No value of an id or an entity is listed, and none that fewer than MIN_ROWS rows have: those are taken together.
"""

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.decision import DecisionBands
from contract.schema import Contract, Kind
from training.ranking import Ranking
from training.report.subject import PeriodRows
from training.threshold_choice import Period

MIN_ROWS = 50
MAX_VALUES = 15
"""Values of a category, or times, with a row of their own."""
MIN_FRAUDS = 5
"""Below these an average precision says nothing."""
AMOUNT_BINS = 5
"""Of equally many rows, by amount."""
SHORT_MONTHS = 3
"""Number of months below which weeks are listed too."""
WEEK, MONTH = 7, 30
"""Days; a month where the times are no dates."""
RARE = f"fewer than {MIN_ROWS} rows each, together"
OTHERS, UNKNOWN, EMPTY = "all others", "values that training did not know", "empty"

Segment = dict[str, Any]
Names = NDArray[np.object_]


def segment(name: str, period: Period, rows: NDArray[np.bool_], bands: DecisionBands) -> Segment:
    """The figures of some rows of a period, at least one; what few of them cannot tell is left out."""
    weights, labels, scores = period.weights[rows], period.labels[rows], period.scores[rows]
    flagged = scores >= bands.review
    result: Segment = {
        "name": name,
        "rows": int(rows.sum()),
        "frauds": int(labels.sum()),
        "fraud_share": float(np.average(labels, weights=weights)),
        "predicted": float(np.average(scores, weights=weights)),
        "alert_share": float(np.average(flagged, weights=weights)),
    }
    if flagged.any():
        result["precision"] = float(np.average(labels[flagged], weights=weights[flagged]))
    if labels.any():
        result["recall"] = float(np.average(flagged[labels], weights=weights[labels]))
    if labels.sum() >= MIN_FRAUDS and not labels.all():
        result["average_precision"] = Ranking.of(labels, scores).average_precision(weights)
    return result


def by_time(contract: Contract, part: PeriodRows, period: Period, bands: DecisionBands) -> dict[str, list[Segment]]:
    """By month, and by week where there are few months; nothing without times."""
    if part.seconds is None or contract.time is None:
        return {}
    dated = contract.time.time_format.is_dated
    months = _months(part.seconds) if dated else _spans(part.seconds, MONTH)
    tables = {"month" if dated else "30 days": _table(months, period, bands)}
    if len(set(months.tolist())) <= SHORT_MONTHS:
        tables["week"] = _table(_spans(part.seconds, WEEK), period, bands)
    return tables


def by_column(contract: Contract, part: PeriodRows, period: Period, bands: DecisionBands) -> dict[str, list[Segment]]:
    """By the values of each category column."""
    columns = [column for column in contract.columns if column.kind is Kind.CATEGORY]
    return {
        column.name: _table(_known(part.table.columns[column.name], column.values), period, bands, by_size=True)
        for column in columns
    }


def by_amount(period: Period, bands: DecisionBands) -> list[Segment]:
    """By amount, in parts of equally many rows; nothing where no column is the amount."""
    if period.amounts is None:
        return []
    edges = np.unique(np.quantile(period.amounts, np.linspace(0, 1, AMOUNT_BINS + 1)))
    positions = np.clip(np.searchsorted(edges, period.amounts, side="right") - 1, 0, max(0, len(edges) - 2))
    names = _amounts(edges[1:-1].tolist())
    return _table(np.array([names[position] for position in positions], dtype=object), period, bands, order=names)


def _amounts(inner: list[float]) -> list[str]:
    """The ranges in words, three digits each, without the smallest and the largest amount, which identify a row."""
    if not inner:
        return ["all"]
    display = [f"{float(f'{edge:.3g}'):,g}" for edge in inner]
    between = [f"{low} to {high}" for low, high in pairwise(display)]
    return [f"up to {display[0]}", *between, f"from {display[-1]}"]


def _table(
    names: Names, period: Period, bands: DecisionBands, order: list[str] | None = None, *, by_size: bool = False
) -> list[Segment]:
    merged = _merged(names)
    counts = Counter(merged.tolist())
    own = sorted(counts.keys() - {OTHERS, RARE}, key=lambda name: (-counts[name] if by_size else 0, name))
    own = sorted(own, key=order.index) if order else own
    present = [*own, *(name for name in (OTHERS, RARE) if name in counts)]  # What was taken together comes last.
    return [segment(name, period, merged == name, bands) for name in present]


def _merged(names: Names) -> Names:
    """Rare names under one, and those beyond the most frequent under another."""
    counts = Counter(names.tolist())
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    frequent = [name for name in ranked if counts[name] >= MIN_ROWS]
    display = dict.fromkeys(ranked, RARE) | dict.fromkeys(frequent, OTHERS)
    display |= {name: name for name in frequent[:MAX_VALUES]}
    return np.array([display[name] for name in names.tolist()], dtype=object)


def _known(values: NDArray[Any], known: tuple[str, ...]) -> Names:
    """The contract's values; what it does not name is not repeated."""
    display = {value: value for value in known} | {"": EMPTY}
    return np.array([display.get(value, UNKNOWN) for value in values.tolist()], dtype=object)


def _months(seconds: NDArray[np.float64]) -> Names:
    months = np.where(np.isfinite(seconds), seconds, 0).astype("datetime64[s]").astype("datetime64[M]").astype(str)
    return np.where(np.isfinite(seconds), months, EMPTY).astype(object)


def _spans(seconds: NDArray[np.float64], days: int) -> Names:
    """Day 1 to 7, 8 to 14 and so on, counted from the first row with a time."""
    known = np.isfinite(seconds)
    if not known.any():
        return np.full(len(seconds), EMPTY, dtype=object)
    spans = np.where(known, (seconds - seconds[known].min()) // (days * 86_400), 0).astype(int)
    width = len(str((int(spans.max()) + 1) * days))
    display = {int(at): f"days {at * days + 1:0{width}d} to {(at + 1) * days:0{width}d}" for at in np.unique(spans)}
    return np.array([display[at] if ok else EMPTY for at, ok in zip(spans.tolist(), known, strict=True)], dtype=object)
