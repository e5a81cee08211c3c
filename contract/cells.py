"""Converts one column's cells, text or JSON values, to numpy values and faults.

Both end in the same checks, so a transaction gives the same values from a CSV row and from a JSON object.
Numbers and timestamps become float64 (timestamps as seconds, UTC) with NaN for a missing cell; the rest become
text with "" for a missing one.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from types import NoneType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from contract import dates
from contract.faults import CellFault, FaultCode
from contract.normal_forms import all_unquoted, are_values, known_spellings, unquoted
from contract.numbers import NumberParser
from contract.schema import Column, Kind, Missing, TextMatch, TimeFormat

MAX_TEXT_LENGTH = 256
"""Characters of an id, entity or category: they become keys elsewhere."""

PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?", re.ASCII)
"""A date with seconds and no offset: numpy reads it as fromisoformat does."""

MICROSECONDS = 1_000_000
EXACT_INTEGERS = 2**53
SEEN = 20
"""Cells of a block whose form is told: as many faults as an answer spells out."""
NAN = math.nan
NUMERIC_KINDS = frozenset({Kind.NUMBER, Kind.WEIGHT})
"""The kinds whose cells are numbers and not times."""
MAX_TIMESTAMP = 250_000_000_000.0
"""Seconds since 1970; all years of four digits end before."""


_Cell = TypeVar("_Cell")


@dataclass(frozen=True, slots=True)
class Cells:
    """A column's values, the faults by position (from 0), and of the first of them the form of what was seen."""

    values: NDArray[Any]
    faults: dict[int, FaultCode] = field(default_factory=dict)
    seen: dict[int, str] = field(default_factory=dict)


def from_text(column: Column, texts: Sequence[str], parse_number: NumberParser | None = None) -> Cells:
    """Converts the cells of a CSV column; without `parse_number` its numbers are plain ones, as float() takes them."""
    texts = _without_words(column, texts, "")
    if column.is_number and parse_number is not None and column.kind is not Kind.TIMESTAMP:
        return _checked_numbers(column, _convert_all(partial(_written_number, parse_number), texts))
    if column.is_number:
        return _checked_numbers(column, _fast_floats(texts) or _convert_all(_number_text, texts))
    if column.kind is Kind.TIMESTAMP:
        fast = _fast_times(texts) if column.time_format is TimeFormat.ISO and not column.zone else None
        return _numeric(column, fast or _convert_all(partial(_time_text, _time_parser(column)), texts))
    return _textual(column, [text.strip() for text in texts], {})


def from_json(column: Column, values: Sequence[object], *, lenient: bool = False) -> Cells:
    """Converts the values that JSON objects hold for a column; None is a missing cell.

    If `lenient`, a number may be text, and a text a whole number.
    """
    is_text = column.kind is not Kind.TIMESTAMP and not column.is_number
    values = _without_words(column, list(map(_whole_number_as_text, values)) if lenient and is_text else values, None)
    if column.is_number:
        convert = _json_number_or_text if lenient else _json_number
        return _checked_numbers(column, _convert_all(convert, values))
    if column.kind is Kind.TIMESTAMP:
        return _numeric(column, _convert_all(partial(_json_time, _time_parser(column)), values))
    return _textual(column, *_convert_texts(values))


def joined_texts(column: Column, texts: Sequence[Sequence[str]]) -> Sequence[str]:
    """The cells of a column that is read from several (`Column.names`); `texts` are theirs, in that order."""
    if len(texts) == 1:
        return texts[0]
    return list(map(dates.join_parts, zip(*(_without_words(column, each, "") for each in texts), strict=True)))


def joined_values(column: Column, values: Sequence[object]) -> object:
    """The value of a column that is read from several, of which one JSON object has these; a part may be a number.

    What is neither is no time (False, a value that no time has); where a part is absent, the time is missing.
    """
    values = [f"{value}" if column.parts and type(value) is int else value for value in values]
    texts = [value for value in _without_words(column, values, None) if isinstance(value, str)]
    if len(texts) == len(values):
        return dates.join_parts(texts)
    return None if {*map(type, values)} <= {str, NoneType} else False


def from_numbers(column: Column, values: NDArray[np.float64]) -> Cells:
    """Checks the numbers that cells of a column of numbers hold; NaN is a missing cell."""
    return _checked_numbers(column, Cells(values))


def from_seconds(column: Column, values: NDArray[np.float64]) -> Cells:
    """Checks the moments that cells of a column of times as text hold, in seconds since 1970; NaN is a missing cell."""
    return _numeric(column, Cells(values))


def respelled(column: Column, values: NDArray[Any]) -> NDArray[Any]:
    """Cells of text that were read as they are spelled, as this column reads them."""
    return _textual(column, values.tolist(), {}).values


def _without_words(column: Column, cells: Sequence[_Cell], missing: _Cell) -> Sequence[_Cell]:
    """The cells of a file or of JSON, `missing` where one holds a word that means so."""
    if not column.missing_words:
        return cells
    words, _ = _missing_values(column.missing_words)
    return [missing if isinstance(cell, str) and unquoted(cell).lower() in words else cell for cell in cells]


@cache
def _missing_values(words: tuple[str, ...]) -> tuple[frozenset[str], NDArray[np.float64]]:
    """The words in lower case, and the numbers that some of them are."""
    numbers = [float(word) for word in words if not _convert_all(_number_text, [word]).faults]
    return frozenset(word.lower() for word in words), np.array(numbers)


def missing_by_word(column: Column) -> bool:
    """Whether a cell that is no number may be a missing one, and not only an empty one."""
    words, numbers = _missing_values(column.missing_words)
    return len(numbers) < len(words)


def _checked_numbers(column: Column, cells: Cells) -> Cells:
    """Of a column of numbers, as they are written: in its unit, within its bounds, NaN for those that mean missing."""
    if column.missing_words and len(numbers := _missing_values(column.missing_words)[1]):
        cells = Cells(np.where(np.isin(cells.values, numbers), NAN, cells.values), cells.faults)
    return _numeric(column, _to_seconds(column, cells))


def _to_seconds(column: Column, cells: Cells) -> Cells:
    """Times in other units as seconds; one beyond MAX_TIMESTAMP is no date."""
    if column.kind is not Kind.TIMESTAMP or column.time_format is TimeFormat.SECONDS:
        return cells
    values = dates.in_seconds(column.time_format, cells.values)
    too_far = np.isfinite(values) & (np.abs(values) >= MAX_TIMESTAMP)
    return Cells(values, cells.faults | dict.fromkeys(_positions(too_far), FaultCode.NOT_A_DATE))


def _fast_floats(texts: Sequence[str]) -> Cells | None:
    """A clean column at the speed of float(); None where a cell must be checked by itself.

    float() also takes digits of other scripts, underscores, and words such as "nan": all are checked one by one.
    """
    joined = "".join(texts)
    if not joined.isascii() or "_" in joined or "n" in joined or "N" in joined:
        return None
    try:
        return Cells(np.array([float(text) if text else NAN for text in texts], dtype=np.float64))
    except ValueError:
        return None


def _fast_times(texts: Sequence[str]) -> Cells | None:
    """A column of plain dates with seconds at numpy's speed, a fiftieth of fromisoformat()'s time.

    numpy also takes words ("now"), negative years and other precisions: all are checked one by one, as are the
    centuries in which a float64 no longer holds each microsecond.
    """
    if not all(map(PLAIN_TIME.fullmatch, texts)):
        return None
    try:
        moments = np.array(texts, dtype="datetime64[us]").astype(np.int64)
    except ValueError:
        return None
    return Cells(moments / MICROSECONDS) if np.all(np.abs(moments) < EXACT_INTEGERS) else None


def _convert_all(convert: Callable[[Any], float], cells: Sequence[Any]) -> Cells:
    """Converts all cells, one by one with their faults where any is at fault."""
    try:
        return Cells(np.array([convert(cell) for cell in cells], dtype=np.float64))
    except CellFault:
        values, faults, seen = np.full(len(cells), NAN), dict[int, FaultCode](), dict[int, str]()
    for position, cell in enumerate(cells):
        try:
            values[position] = convert(cell)
        except CellFault as fault:
            faults[position] = fault.args[0]
            if fault.args[0] is FaultCode.NOT_A_DATE and len(seen) < SEEN:
                seen[position] = dates.forms_in_words(str(cell))
    return Cells(values, faults, seen)


def _number_text(text: str) -> float:
    text = text.strip()
    if not text:
        return NAN
    if not text.isascii() or "_" in text:
        raise CellFault(FaultCode.NOT_A_NUMBER)
    try:
        value = float(text)
    except ValueError:
        raise CellFault(FaultCode.NOT_A_NUMBER) from None
    return _finite(value)


def _written_number(parse_number: NumberParser, text: str) -> float:
    text = text.strip()
    return _finite(parse_number(text)) if text else NAN


def _time_parser(column: Column) -> Callable[[str], float]:
    return partial(dates.parse_time, column.time_format, zone=dates.zone_of(column.zone))


def _time_text(parse: Callable[[str], float], text: str) -> float:
    text = text.strip()
    if not text:
        return NAN
    try:
        return parse(text)
    except dates.DateFormatError:
        raise CellFault(FaultCode.NOT_A_DATE) from None


def _json_number(value: object) -> float:
    if value is None:
        return NAN
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CellFault(FaultCode.NOT_A_NUMBER)
    try:
        return _finite(float(value))
    except OverflowError:
        raise CellFault(FaultCode.NOT_FINITE) from None


def _json_number_or_text(value: object) -> float:
    return _number_text(value) if isinstance(value, str) else _json_number(value)


def _whole_number_as_text(value: object) -> object:
    """Floats stay what they are, and are refused: which of its texts would 1e15 be."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _json_time(parse: Callable[[str], float], value: object) -> float:
    if value is None:
        return NAN
    if not isinstance(value, str):
        raise CellFault(FaultCode.NOT_A_DATE)
    return _time_text(parse, value)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise CellFault(FaultCode.NOT_FINITE)
    return value


def _convert_texts(values: Sequence[object]) -> tuple[list[str], dict[int, FaultCode]]:
    texts, faults = list[str](), dict[int, FaultCode]()
    for position, value in enumerate(values):
        text = "" if value is None else value
        if not isinstance(text, str) or not _encodable(text):
            text, faults[position] = "", FaultCode.NOT_TEXT
        texts.append(text.strip())
    return texts, faults


def _encodable(text: str) -> bool:
    """False for the lone surrogates that JSON can express and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _numeric(column: Column, cells: Cells) -> Cells:
    values, faults = cells.values, cells.faults
    if ((values >= column.minimum) & (values <= column.maximum)).all():  # None is missing either: NaN is in no bounds.
        return cells
    infinite = np.isinf(values)
    out_of_bounds = ~infinite & ((values < column.minimum) | (values > column.maximum))
    faults |= dict.fromkeys(_positions(infinite), FaultCode.NOT_FINITE)
    faults |= dict.fromkeys(_positions(out_of_bounds), FaultCode.OUT_OF_BOUNDS)
    return _check_missing(column, cells, _positions(np.isnan(values)))


def _textual(column: Column, texts: Sequence[str], faults: dict[int, FaultCode]) -> Cells:
    as_it_is = column.match is TextMatch.EXACT or are_values(column.values, texts)
    if not as_it_is:
        texts = _without_words(column, all_unquoted(texts), "")
    faults |= {position: FaultCode.TOO_LONG for position, text in enumerate(texts) if len(text) > MAX_TEXT_LENGTH}
    if not as_it_is and column.match is TextMatch.NORMAL:
        texts = known_spellings(column.values, texts)
    missing = [position for position, text in enumerate(texts) if not text] if "" in texts else []
    return _check_missing(column, Cells(_text_array(texts), faults), missing)


def _check_missing(column: Column, cells: Cells, missing: Sequence[int]) -> Cells:
    if column.missing is Missing.REFUSE:
        for position in missing:
            cells.faults.setdefault(position, FaultCode.MISSING)
    return cells


def _positions(mask: NDArray[np.bool_]) -> list[int]:
    positions: list[int] = np.flatnonzero(mask).tolist()
    return positions


def _text_array(texts: Sequence[str]) -> NDArray[Any]:
    values = np.empty(len(texts), dtype=object)
    values[:] = texts
    return values
