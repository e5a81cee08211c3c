"""Words and numbers that stand in a file for an empty cell, found in its cells; the schema names them, with counts.

Some words mean nothing else wherever they stand. Others are words of their own among words (NA is a country), and are
taken only where the other cells are numbers or dates. A number is taken only where it stands apart from all others and
is frequent. Each is told in a comment that begins with CHECK: what was a value is then read as none.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract import cells
from contract.schema import Column, Kind, Missing

NEVER_VALUES = ("null", "(null)", "<null>", "n/a", "#n/a", "<na>", "nan", "nat", "\\n", "?", "??")
"""Words that mean a missing cell among whatever others."""
AMONG_MEASURES = (
    "na", "n.a.", "none", "nil", "-", "--", "---", ".", "unknown", "unk", "undefined", "missing", "not available",
    "not applicable", "not known", "#null!", "#value!", "#div/0!", "#ref!", "0000-00-00", "0000-00-00 00:00:00",
)  # fmt: skip
"""Words that mean it where the other cells are numbers or dates."""
SENTINELS = (-1, -9, -99, -999, -9999, -99999, 99, 999, 9999, 99999, 999999)
"""Numbers that people write for none."""
MIN_COUNT = 10
"""Cells that a sentinel must have."""
MIN_SHARE = 0.005
"""The share of all cells that it must have besides."""
MIN_OTHERS = 12
"""Different numbers that the others must be more than: a code of few values may have -1 as one of them."""
APART = 2.0
"""How many times the largest of all others a positive sentinel must be."""


def _spellings(words: tuple[str, ...]) -> dict[str, str]:
    """Words in their usual cases, each with the word in lower case."""
    cased = {"nan": ["NaN"], "nat": ["NaT"]}
    return {
        each: word
        for word in words
        for each in (word, word.upper(), word.capitalize(), word.title(), *cased.get(word, []))
    }


NEVER_SPELLINGS, MEASURE_SPELLINGS = _spellings(NEVER_VALUES), _spellings(AMONG_MEASURES)
MISSING_SPELLINGS = frozenset({*NEVER_SPELLINGS, *MEASURE_SPELLINGS})
SENTINEL_TEXTS = {f"{number}{end}": float(number) for number in SENTINELS for end in ("", ".0", ".00")}


@dataclass(frozen=True, slots=True)
class MissingWords:
    """What stands for an empty cell in a column.

    Attributes:
        counts: the words as the file writes them, and how many cells have each.
        sentinels: likewise numbers, by their texts.
    """

    counts: Mapping[str, int]
    sentinels: Mapping[str, int]

    @property
    def keys(self) -> dict[str, str]:
        """The key of the schema's table, as TOML."""
        words = list({word.lower(): word for word in (*self.counts, *self.sentinels)}.values())
        return {"missing_words": json.dumps(words, ensure_ascii=False)} if words else {}

    @property
    def comment(self) -> str:
        """What the person who edits the schema must know."""
        words = f"CHECK: taken for missing cells: {_counted(self.counts)}" if self.counts else ""
        numbers = (
            f"CHECK: taken for missing cells, because apart from all other numbers: {_counted(self.sentinels)}; if it "
            "is a number, take it out of missing_words"
        )
        return "; ".join(filter(None, (words, numbers if self.sentinels else "")))

    def without(self, column: pd.Series) -> pd.Series:
        """The cells of a column that are none of these."""
        return column[~column.isin([*self.counts, *self.sentinels])]


def missing_words(full: pd.Series, is_measured: Callable[[pd.Series], bool]) -> MissingWords:
    """The words among filled cells; `is_measured` tells whether cells are mostly numbers or dates."""
    found = full[full.isin(list(MISSING_SPELLINGS))].value_counts()
    counts = {str(word): int(count) for word, count in found.items()}
    rest = full[~full.isin(list(counts))]
    if counts.keys() & MEASURE_SPELLINGS.keys() and not (len(rest) and is_measured(rest)):
        counts = {word: count for word, count in counts.items() if word in NEVER_SPELLINGS}
        rest = full[~full.isin(list(counts))]
    return MissingWords(counts, _sentinels(rest))


def _sentinels(full: pd.Series) -> dict[str, int]:
    """The numbers that stand apart and are frequent, by their texts."""
    frequent = _frequent(full)
    if not frequent:
        return {}
    result = cells.from_text(Column("number", Kind.NUMBER, Missing.ALLOW), full.tolist())
    others = result.values[~np.isin(result.values, list(frequent.values()))]
    if result.faults or len(np.unique(others)) <= MIN_OTHERS:
        return {}
    return {text: int((full == text).sum()) for text, number in frequent.items() if _is_apart(number, others)}


def _frequent(full: pd.Series) -> dict[str, float]:
    counts = full[full.isin(list(SENTINEL_TEXTS))].value_counts()
    least = max(MIN_COUNT, MIN_SHARE * len(full))
    return {str(text): SENTINEL_TEXTS[str(text)] for text, count in counts.items() if count >= least}


def _is_apart(number: float, others: NDArray[np.float64]) -> bool:
    return bool(others.min() >= 0) if number < 0 else bool(np.abs(others).max() * APART <= number)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{word} ({count:,})" for word, count in counts.items())
