"""How a person's file is written, before anybody knows the names of its columns: by what repeats from line to line."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.dialect import SEPARATORS, Dialect, cells_of, encoding_of, head_lines, separator_line
from contract.numbers import PLAIN, NumberEvidence, NumberReadings, readings_of
from contract.schema import Decimal
from training.infer_missing import MISSING_SPELLINGS

USUAL_ENCODING = "cp1252"
"""Of a file that is not UTF-8: what Windows writes in the west."""
SAMPLE_ROWS = 500
MOST = 0.9
"""The share of cells from which a column's cells count as numbers."""


def inferred_dialect(body: bytes) -> Dialect:
    """The dialect in which the most lines have as many fields as the header, and those the most fields."""
    encoding = encoding_of(body, USUAL_ENCODING)
    lines = head_lines(body, encoding)
    declared = separator_line(lines)
    first = 1 if declared else 0
    scores = {separator: _score(lines[first:], separator) for separator in ([declared] if declared else SEPARATORS)}
    separator, (_, _, line) = max(scores.items(), key=lambda item: item[1][:2])
    return Dialect(encoding, separator, first + line)


def plain_numbers(frame: pd.DataFrame) -> tuple[pd.DataFrame, Decimal]:
    """The frame with each column of written numbers as plain ones, and the decimal sign of the file.

    UNKNOWN where nothing tells it, or cells contradict each other.
    """
    written = {name: readings for name in frame.columns if (readings := _written(frame[name])) is not None}
    evidence = NumberEvidence()
    for name in written:
        for text in frame[name].tolist():
            evidence.add(name, text)
    decimal = evidence.decimal or Decimal.UNKNOWN
    point = decimal is not Decimal.COMMA
    plain = {name: _plain(frame[name], readings, point=point) for name, readings in written.items()}
    return frame.assign(**plain), decimal


def _score(lines: Sequence[str], separator: str) -> tuple[float, int, int]:
    """The share of lines with the usual number of fields, that number, and the line of the header."""
    widths = [len(cells_of(line, separator)) for line in lines if line.strip()]
    if not widths:
        return 0.0, 0, 0
    usual, count = Counter(widths).most_common(1)[0]
    header = next(
        (at for at, line in enumerate(lines) if _could_be_header(cells_of(line, separator), usual)),
        next((at for at, line in enumerate(lines) if line.strip()), 0),
    )
    return (count / len(widths) if usual > 1 else 0.0), usual, header


def _could_be_header(cells: Sequence[str], width: int) -> bool:
    return len(cells) == width and not any(PLAIN.fullmatch(cell) for cell in cells)


def _written(column: pd.Series) -> list[NumberReadings | None] | None:
    """The readings of each cell of a column of numbers that are not all plain; None for any other column."""
    texts = column.tolist()
    some = [text for text in texts[:: max(1, len(texts) // SAMPLE_ROWS)] if text and text not in MISSING_SPELLINGS]
    if not some or all(map(PLAIN.fullmatch, some)) or _share(some) < MOST:
        return None
    return [readings_of(text) for text in texts]


def _share(texts: Sequence[str]) -> float:
    return float(np.mean([readings_of(text) is not None for text in texts]))


def _plain(column: pd.Series, readings: Sequence[NumberReadings | None], *, point: bool) -> NDArray[np.object_]:
    result = column.to_numpy(dtype=object).copy()
    for place, each in enumerate(readings):
        if each is not None:
            values = (each.point, each.comma) if point else (each.comma, each.point)
            result[place] = repr(values[0] if values[0] is not None else values[1])
    return result
