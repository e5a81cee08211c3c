"""A first schema for a person's own file: every column's kind inferred from its cells, written as TOML to be edited.

The schema must train without edits on an ordinary file, so it looks at every row: bounds from a part of them would
refuse the rest. A column whose name says that it may tell the label is left out with the reason beside it.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract import cells
from contract.cells import MAX_TEXT_LENGTH
from contract.column_names import is_unnamed
from contract.dates import in_seconds
from contract.dialect import PLAIN, UTF_8, UTF_16
from contract.labels import FRAUD, UNLABELLED
from contract.schema import CONFIRMED_COLUMN, FLOAT32_MAX, Column, Decimal, Kind, Missing, Reading, TimeFormat
from contract.table import without_empty_end
from contract.windows import DAY
from training import source
from training.amounts import inferred_amount
from training.errors import TrainingError
from training.infer_dates import dates_of, is_clock, names_another_moment
from training.infer_dialect import inferred_dialect, plain_numbers
from training.infer_history import Times, history
from training.infer_label import CONFIRMED_NAME, InferredLabel, infer_label, tells_by_name
from training.infer_missing import missing_words
from training.infer_parts import time_parts
from training.infer_steps import is_running_clock, never_falls, step_of, trend
from training.presets import Preset, recognise
from training.quantity import quantity

ID_NAME = re.compile(r"(^|[_\s.-])(id|uuid|guid|key|ref|reference)$|^(id|uuid|index)|[a-z]I[Dd]$", re.IGNORECASE)
CODE_NAME = re.compile(r"(code|mcc|type|category|country|zip|postal|postcode)s?$", re.IGNORECASE)
WEIGHT_NAME = re.compile(r"(^|[^a-z])weights?$", re.IGNORECASE)
TIME_NAME = re.compile(r"time|date|seconds|(^|_)(ts|dt)$", re.IGNORECASE)
SECONDS_NAME = re.compile(r"time|seconds|(^|_)(ts|dt)$", re.IGNORECASE)
ENTITY_NAME = re.compile(
    r"^(?!(.*[^a-z])?(per|num|nb|count|total|sum|avg|is|has|new)[^a-z])(.*[^a-z])?"
    r"(card|account|acct|customer|client|user|iban|pan|terminal|device|ip|email|phone)s?"
    r"([^a-z]*(id|no|nr|num|number|hash|name|key|token|address))?$",
    re.IGNORECASE,
)
"""Who or what takes part, perhaps with what is told of it; a card_type or payments_per_card is another thing."""
SIGNS = r"[\s,'$€£¥%]"
"""What people write into numbers and float() does not read."""
LONG_NUMBER = r"\d(?:[ -]?\d){11,}"
"""Twelve digits or more name somebody: a card, an account."""
MAX_CATEGORIES = 200
"""Different values up to which text is a category; above, it names somebody or something."""
FEW_NUMBERS = 12
SAMPLE_ROWS = 2000
"""Cells, spread over the column, that tell whether it holds numbers, dates or long numbers."""
LONGEST_DELAY = 5 * 365 * DAY
"""Of a label: what lies further behind its transaction is of another clock."""
HALF = 0.5
"""The share of such cells from which the column is taken for that."""
SKEWED = 10.0
"""How many medians the largest number must be for its logarithm to become a feature."""
EPOCH = (631_152_000, 4_102_444_800)
"""1990 and 2100 in seconds since 1970: numbers between these are times, and only then do they tell the hour."""
RECENT = (946_684_800, 2_524_608_000)
"""2000 and 2050: milliseconds in a column whose name names no time lie between these, phone numbers below."""
NANOSECONDS = 1e9
DATES = {"%Y%m%d": (19900101, 21001231), "%Y%m%d%H%M%S": (19900101000000, 21001231235959)}
"""Dates written as one whole number, and between which numbers they lie."""
WEIGHT_NOTE = (
    "CHECK: taken for how many transactions each row stands for, since its values go with the label; training alone "
    "reads it, and uploads need not have it"
)
IF_TIME = 'if it is the time, kind = "timestamp" and time_format = "seconds", "hours" or "days"'
PARTED_NAMES = ("transaction_time", "transaction_moment", "time of the transaction")
"""What a time is called that is read from several columns."""
WRITE_ISO = "write them as 2026-01-31T18:05:00, or as seconds since 1970, to have them used"


@dataclass(frozen=True, slots=True)
class InferredColumn:
    """The inferred schema entry of a column.

    Attributes:
        kind: None leaves the column out.
        keys: the other keys of its table, TOML values by name.
        comment: for the person who edits the schema.
    """

    kind: Kind | None
    keys: Mapping[str, str]
    comment: str = ""


CLOCK = InferredColumn(None, {}, f"left out: a time of the day; join it to the date in one column, {WRITE_ISO}")


def infer_schema(path: Path) -> str:
    """The text of a first schema file for a CSV or parquet file, with comments for the person who edits it.

    Raises:
        TrainingError: the file cannot be read, or no column can be the label.
    """
    frame, reading = _frame(path)
    known = recognise([*frame.columns])
    label = infer_label(frame)
    meanings = label.words.meanings(frame[label.name])
    truth = pd.Series(meanings == FRAUD, index=frame.index)
    known_truth = truth[meanings != UNLABELLED]
    columns = {name: _infer_column(name, frame[name], label, known_truth) for name in frame.columns if name}
    frame = _without_words(frame, columns)
    columns = _one_time(frame, _one_id(_with_parts(frame, columns)))
    second_weights = _named(columns, Kind.WEIGHT)[1:]
    columns |= dict.fromkeys(second_weights, InferredColumn(None, {}, "left out: a second weight"))
    columns = _with_confirmation(frame, _with_clock(frame, columns), label.name)
    tables = [_table(name, inferred) for name, inferred in columns.items()]
    times = _times(frame, columns, truth.to_numpy())
    numbers = _named(columns, Kind.NUMBER)
    amount = inferred_amount(numbers, [name for name in numbers if "log" in columns[name].keys])
    blocks = history(frame, _named(columns, Kind.ENTITY), amount, times) if times else ""
    heading = [*_heading(path, known, timed=times is not None), *_reading(reading)]
    return "\n".join([*heading, *tables, *([blocks] if blocks else [])])


def _named(columns: Mapping[str, InferredColumn], kind: Kind) -> list[str]:
    return [name for name, inferred in columns.items() if inferred.kind is kind]


def _frame(path: Path) -> tuple[pd.DataFrame, Reading]:
    """Every cell as text without spaces around it, "" where it is empty; columns without a name are left out.

    Numbers are plain in it; how they are written in the file is told beside it.
    """
    body = _body(path)
    dialect = PLAIN if source.is_parquet(path) else inferred_dialect(body)
    records = source.records(body, dialect)
    header = next(records, [])
    if not header:
        raise TrainingError("The data file cannot be used. The file is empty.")
    if doubles := sorted({name for name in header if name and header.count(name) > 1}):
        raise TrainingError(f"The data file {path} has more than one column called {', '.join(doubles)}.")
    columns = _columns([without_empty_end(record, len(header)) for record in records], len(header))
    frame = pd.DataFrame(
        {name: column for name, column in zip(header, columns, strict=True) if not is_unnamed(name)}, dtype=str
    )
    if source.is_parquet(path):
        return frame, Reading()
    measured = [name for name in frame.columns if not _named_not_measured(name)]
    plain, decimal = plain_numbers(frame[measured])
    encoding = "" if dialect.encoding in {UTF_8, UTF_16} else dialect.encoding
    return frame.assign(**plain), Reading(decimal if decimal is Decimal.COMMA else Decimal.UNKNOWN, encoding)


def _body(path: Path) -> bytes:
    if not source.is_parquet(path):
        return source.unpacked(source.read_bytes(path))
    with source.open_parquet(path) as file:
        return source.arrow_csv(source.read_parquet(file))


def _columns(rows: list[list[str]], width: int) -> list[list[str]]:
    if not rows:
        raise TrainingError("The data file has no rows.")
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise TrainingError(
                f"Row {number} of the data file has {quantity(len(row), 'field')} and the header {width}: give each "
                "row as many as the header; a field with a comma in it needs quotes."
            )
    return [[cell.strip() for cell in column] for column in zip(*rows, strict=True)]


def _infer_column(name: str, column: pd.Series, label: InferredLabel, truth: pd.Series) -> InferredColumn:
    if name == label.name:
        return InferredColumn(Kind.LABEL, label.keys, label.comment)
    if (excluded := _excluded(name, column, truth)) is not None:
        return excluded
    words = missing_words(column[column != ""], _is_measured)
    full = words.without(column[column != ""])
    keys = ({"missing": '"allow"'} if len(full) < len(column) else {}) | words.keys
    if full.empty:
        return InferredColumn(Kind.ENTITY, keys, "empty in every row: accepted, but no feature is made from it")
    inferred = _infer_filled(name, full)
    comment = "; ".join(filter(None, (words.comment, inferred.comment)))
    return InferredColumn(
        inferred.kind, {**keys, **inferred.keys}, inferred.comment if inferred.kind is None else comment
    )


def _without_words(frame: pd.DataFrame, columns: Mapping[str, InferredColumn]) -> pd.DataFrame:
    """The cells as training will read them: empty where they hold a word that means so."""
    worded = {
        name: json.loads(each.keys["missing_words"]) for name, each in columns.items() if "missing_words" in each.keys
    }
    return frame.assign(**{name: frame[name].mask(frame[name].isin(words), "") for name, words in worded.items()})


def _is_measured(full: pd.Series) -> bool:
    """Whether cells are mostly numbers or dates."""
    return _share(full, lambda some: _numbers(_without_signs(some))[1]) >= HALF or dates_of(full) is not None


def _excluded(name: str, column: pd.Series, truth: pd.Series) -> InferredColumn | None:
    """The entry of a column that is no feature because it depends on the label; None for any other."""
    if name == CONFIRMED_COLUMN:
        return InferredColumn(
            None, {}, "no column of a transaction: training reads it by itself, since when a label is known"
        )
    if tells_by_name(name):
        return InferredColumn(None, {}, "left out: by its name it may tell the label, and a model would only repeat it")
    if WEIGHT_NAME.search(name) and _is_weight(column, truth):
        return InferredColumn(Kind.WEIGHT, {}, WEIGHT_NOTE)
    if _tells_label(column, truth):
        return InferredColumn(
            None, {}, "left out: it alone tells the label in every row, so it was probably made from it"
        )
    return None


def _tells_label(column: pd.Series, truth: pd.Series) -> bool:
    """Whether a column of few values has no value that both frauds and others share: a sample weight, a case status.

    `truth` is of the rows whose label is known.
    """
    column = column[truth.index]
    if not 1 < column.nunique() <= FEW_NUMBERS or truth.nunique() == 1:
        return False
    return bool((truth.groupby(column).nunique() == 1).all())


def _is_weight(column: pd.Series, truth: pd.Series) -> bool:
    """Whether frauds and others were sampled by different shares, and the cells are what each row stands for."""
    numbers, good = _numbers(column)
    return bool(good.all() and (numbers > 0).all()) and _tells_label(column, truth)


def _infer_filled(name: str, full: pd.Series) -> InferredColumn:
    if _share(full, lambda some: _numbers(_without_signs(some))[1]) < HALF:
        if (result := dates_of(full)) is not None:
            return _timestamp(result.form, result.comment)
        return _text(name, full)
    numbers, good = _numbers(full)
    if good.all():
        return _numeric(name, full, numbers)
    return _partly_numeric(name, full, good)


def _share(full: pd.Series, test: Callable[[pd.Series], NDArray[np.bool_]]) -> float:
    """The share of cells, among some spread over the whole column, that pass a test."""
    return float(test(full.iloc[:: max(1, len(full) // SAMPLE_ROWS)]).mean())


def _numbers(full: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The numbers as training will read them, and which cells are numbers."""
    result = cells.from_text(Column("number", Kind.NUMBER, Missing.ALLOW), full.tolist())
    good = ~np.isnan(result.values)
    good[list(result.faults)] = False
    return result.values, good


def _without_signs(full: pd.Series) -> pd.Series:
    return full.str.replace(SIGNS, "", regex=True)


def _partly_numeric(name: str, full: pd.Series, good: NDArray[np.bool_]) -> InferredColumn:
    """At least half are numbers: the others must not cost the column, and training will name their rows.

    A few different values are a category, other cells and all.
    """
    if _named_not_measured(name) or full.nunique() <= FEW_NUMBERS or _is_long_number(full):
        return _text(name, full)
    numbers, readable = _numbers(_without_signs(full))
    comment = (
        f"cells that are no numbers: {int((~good).sum()):,} of {len(full):,}, the first in row "
        f"{full.index[~good][0] + 1}; take separators and signs such as $ and % away, name the others in "
        'missing_words and set missing = "allow"'
    )
    return InferredColumn(Kind.NUMBER, _bounds(numbers[readable]) | _log(numbers[readable]), comment)


def _named_not_measured(name: str) -> bool:
    return any(pattern.search(name) for pattern in (ID_NAME, CODE_NAME, ENTITY_NAME))


def _is_long_number(full: pd.Series) -> bool:
    return _share(full, lambda some: some.str.fullmatch(rf"-?{LONG_NUMBER}(?:\.0)?").to_numpy(dtype=bool)) >= HALF


def _numeric(name: str, full: pd.Series, numbers: NDArray[np.float64]) -> InferredColumn:
    whole = bool((numbers == np.round(numbers)).all())
    counting = len(numbers) > FEW_NUMBERS and bool((np.diff(numbers) == 1).all())  # The rows are merely numbered.
    if whole and counting and not TIME_NAME.search(name):
        return _id_or_entity(full)
    if whole and _named_not_measured(name):
        return _text(name, full)
    if (time := _time(name, numbers, whole=whole)) is not None:
        return time
    if whole and _is_long_number(full):
        return _id_or_entity(full)
    return _measure(numbers)


def _measure(numbers: NDArray[np.float64]) -> InferredColumn:
    """A number, without the bound that later rows would pass."""
    keys = _bounds(numbers) | _log(numbers)
    direction = trend(numbers) if len(np.unique(numbers[:SAMPLE_ROWS])) > FEW_NUMBERS else 0
    if not direction:
        return InferredColumn(Kind.NUMBER, keys)
    bound, moves = ("maximum", "grows") if direction > 0 else ("minimum", "falls")
    del keys[bound]
    return InferredColumn(
        Kind.NUMBER, keys, f"CHECK: {moves} with the rows of the file, so it has no {bound}; {IF_TIME}"
    )


def _time(name: str, numbers: NDArray[np.float64], *, whole: bool) -> InferredColumn | None:
    if _within(numbers, EPOCH):
        return _seconds_column("1970", {"cycles": '["hour", "weekday"]'})
    if (form := _subsecond_format(name, numbers)) is not None:
        return _timestamp(form, f"taken for {form} since 1970")
    if TIME_NAME.search(name) and _within(numbers / NANOSECONDS, EPOCH):
        return InferredColumn(None, {}, f"left out: times in nanoseconds; {WRITE_ISO}")
    if whole and _dates(numbers):
        return _timestamp(
            TimeFormat.YEAR_FIRST, "dates without separators (yyyymmdd); in JSON they are text, in quotes"
        )
    return _running_time(name, numbers, whole=whole)


def _running_time(name: str, numbers: NDArray[np.float64], *, whole: bool) -> InferredColumn | None:
    if whole and (step := step_of(name, numbers)) is not None:
        return _timestamp(step.form, step.comment)
    if (SECONDS_NAME.search(name) and never_falls(numbers)) or is_running_clock(name, numbers):
        return _seconds_column("some moment", {})
    return None


def _subsecond_format(name: str, numbers: NDArray[np.float64]) -> TimeFormat | None:
    """Milliseconds, or microseconds of a column that is called a time."""
    named_time = TIME_NAME.search(name)
    if _within(in_seconds(TimeFormat.MILLISECONDS, numbers), EPOCH if named_time else RECENT):
        return TimeFormat.MILLISECONDS
    fits = named_time and _within(in_seconds(TimeFormat.MICROSECONDS, numbers), EPOCH)
    return TimeFormat.MICROSECONDS if fits else None


def _timestamp(form: TimeFormat, comment: str) -> InferredColumn:
    return InferredColumn(Kind.TIMESTAMP, {"time_format": f'"{form}"'}, comment)


def _within(numbers: NDArray[np.float64], ends: tuple[float, float]) -> bool:
    return bool(numbers.min() >= ends[0] and numbers.max() <= ends[1])


def _dates(numbers: NDArray[np.float64]) -> bool:
    for form, ends in DATES.items():
        if _within(numbers, ends):
            texts = pd.Series(np.unique(numbers).astype(np.int64)).astype(str)
            return bool(pd.to_datetime(texts, format=form, errors="coerce").notna().all())
    return False


def _seconds_column(moment: str, cycles: dict[str, str]) -> InferredColumn:
    units = '; if they are hours or days, time_format = "hours" or "days"' if not cycles else ""
    comment = f'taken for the seconds since {moment}{units}; if it is another thing, kind = "number"'
    return InferredColumn(Kind.TIMESTAMP, {"time_format": '"seconds"', **cycles}, comment)


def _bounds(numbers: NDArray[np.float64]) -> dict[str, str]:
    """Wider than seen by the range that was seen; what was never negative stays so."""
    low, high = float(numbers.min()), float(numbers.max())
    spread = max(high - low, abs(high), 1.0)
    minimum = 0.0 if low >= 0 else _outward(low - spread, -1)
    return {"minimum": repr(minimum), "maximum": repr(_outward(high + spread, 1))}


def _outward(bound: float, direction: int) -> float:
    """The next number of two digits in this direction."""
    unit = 10.0 ** (math.floor(math.log10(abs(bound))) - 1) if bound else 1.0
    rounded = math.ceil(direction * bound / unit) * unit * direction
    return float(max(-FLOAT32_MAX, min(FLOAT32_MAX, float(f"{rounded:.6g}"))))


def _log(numbers: NDArray[np.float64]) -> dict[str, str]:
    skewed = numbers.min() >= 0 and numbers.max() > SKEWED * max(float(np.median(numbers)), 1e-9)
    return {"log": "true"} if skewed and len(np.unique(numbers[:SAMPLE_ROWS])) > FEW_NUMBERS else {}


def _text(name: str, full: pd.Series) -> InferredColumn:
    different = full.nunique()
    if full.str.len().max() > MAX_TEXT_LENGTH:
        return InferredColumn(None, {}, f"left out: some cells have more than {MAX_TEXT_LENGTH} characters")
    if is_clock(full):
        return CLOCK
    # With few values such a name says a kind of them: a card's, a customer's.
    names_one = different > FEW_NUMBERS and bool(ID_NAME.search(name) or ENTITY_NAME.search(name))
    if names_one or _is_long_number(full):
        return _id_or_entity(full)
    if different <= MAX_CATEGORIES and (different < len(full) / 2 or different <= FEW_NUMBERS):
        return InferredColumn(Kind.CATEGORY, {}, quantity(different, "different value"))
    return _id_or_entity(full)


def _id_or_entity(full: pd.Series) -> InferredColumn:
    different = full.nunique()
    if different == len(full):
        return InferredColumn(Kind.ID, {}, "different in every row")
    return InferredColumn(
        Kind.ENTITY, {}, f"{quantity(different, 'different value')}: who or what takes part, no feature by itself"
    )


def _one_id(columns: dict[str, InferredColumn]) -> dict[str, InferredColumn]:
    """The first id, or the first that is called one, stays; other unique columns are entities."""
    ids = [name for name, inferred in columns.items() if inferred.kind is Kind.ID]
    chosen = next((name for name in ids if ID_NAME.search(name)), ids[0] if ids else None)
    return {
        name: replace(inferred, kind=Kind.ENTITY) if inferred.kind is Kind.ID and name != chosen else inferred
        for name, inferred in columns.items()
    }


def _with_parts(frame: pd.DataFrame, columns: dict[str, InferredColumn]) -> dict[str, InferredColumn]:
    """The time of the transaction from its parts, where no other column is a date of it."""
    dated = [name for name in _named(columns, Kind.TIMESTAMP) if not names_another_moment(name)]
    candidates = frame[[name for name in frame.columns if columns[name].kind is not Kind.LABEL]]
    if dated or not (parts := time_parts(candidates)):
        return columns
    name = next(each for each in PARTED_NAMES if each not in columns)
    words = list(
        dict.fromkeys(word for each in parts for word in json.loads(columns[each].keys.get("missing_words", "[]")))
    )
    keys = {"parts": json.dumps(parts, ensure_ascii=False)} | ({"missing_words": json.dumps(words)} if words else {})
    keys |= {"missing": '"allow"'} if (frame[list(parts)] == "").any(axis=None) else {}
    timed = InferredColumn(Kind.TIMESTAMP, keys, f"the time of the transaction, from the columns {', '.join(parts)}")
    read_with = InferredColumn(None, {}, f"a part of the time, read with {name}: uploads must have it too")
    return {name: timed, **columns, **dict.fromkeys(parts, read_with)}


def _one_time(frame: pd.DataFrame, columns: dict[str, InferredColumn]) -> dict[str, InferredColumn]:
    """The time of the transaction first, for that is what the first timestamp is; of others only who reads on knows.

    It has no name such as birth or expiry and no empty cells, and the rows of the file mostly follow each other in it;
    of several such it is a date, and the first.
    """
    times = _named(columns, Kind.TIMESTAMP)
    if len(times) < 2:  # noqa: PLR2004 - one is the time.
        return columns
    main = min(times, key=lambda name: _unlikelihood(frame, name, columns[name]))
    note = "taken for the time of the transaction; the first timestamp in this file is that"
    other = "another moment: no feature is made from it"
    result = {main: _with_comment(columns[main], note)}
    for name, inferred in columns.items():
        if name != main:
            plain = replace(inferred, keys={**inferred.keys, "cycles": "[]"}) if name in times else inferred
            result[name] = _with_comment(plain, other) if name in times else inferred
    return result


def _unlikelihood(frame: pd.DataFrame, name: str, inferred: InferredColumn) -> tuple[bool, ...]:
    """What speaks against a column being the time of the transaction, the gravest first."""
    column = _time_column(name, inferred)
    return (
        names_another_moment(name),
        "missing" in inferred.keys,
        trend(_seconds(frame, column)) <= 0,
        not column.time_format.is_dated,
    )


def _with_clock(frame: pd.DataFrame, columns: dict[str, InferredColumn]) -> dict[str, InferredColumn]:
    """The time of the transaction with the time of the day, where that is the only one that has a column of its own."""
    times = _named(columns, Kind.TIMESTAMP)
    clocks = [name for name, inferred in columns.items() if inferred.comment == CLOCK.comment]
    if len(clocks) != 1 or not times or "parts" in columns[times[0]].keys:
        return columns
    main, clock = times[0], clocks[0]
    both = pd.Series(_joined(frame, Column(main, Kind.TIMESTAMP, clock=clock)), index=frame.index, dtype=str)
    full = both[both != ""]
    result = dates_of(full)
    dated = int((frame[main] != "").sum())
    if result is None or result.misfits.any() or names_another_moment(clock) or len(full) < 0.9 * dated:
        return columns
    keys = {**columns[main].keys, "time_format": f'"{result.form}"', "clock": json.dumps(clock, ensure_ascii=False)}
    keys |= {"missing": '"allow"'} if len(full) < len(both) else {}
    timed = _with_comment(
        InferredColumn(Kind.TIMESTAMP, keys, result.comment), f"with the time of the day that the column {clock} holds"
    )
    read_with = InferredColumn(None, {}, f"the time of the day, read with {main}: uploads must have it too")
    return columns | {main: timed, clock: read_with}


def _with_confirmation(
    frame: pd.DataFrame, columns: dict[str, InferredColumn], label: str
) -> dict[str, InferredColumn]:
    """The label with the column that says since when it is known, where one of that name has times in it."""
    times = _named(columns, Kind.TIMESTAMP)
    if not times or CONFIRMED_COLUMN in columns:
        return columns
    for name in (name for name in columns if CONFIRMED_NAME.search(name) and name not in {label, *times}):
        full = frame[name][frame[name] != ""]
        found = None if full.empty else _infer_filled(name, full)
        if found is None or found.kind is not Kind.TIMESTAMP or not _is_later(frame, columns, name, found):
            continue
        keys = {"confirmed": json.dumps(name, ensure_ascii=False)}
        if found.keys["time_format"] != columns[times[0]].keys["time_format"]:
            keys["time_format"] = found.keys["time_format"]
        labelled = replace(columns[label], keys={**columns[label].keys, **keys})
        read_with = f"since when the label is known, read with {label}: no feature"
        note = _with_comment(InferredColumn(None, {}, read_with), found.comment)
        return columns | {label: labelled, name: note}
    return columns


def _is_later(frame: pd.DataFrame, columns: Mapping[str, InferredColumn], name: str, found: InferredColumn) -> bool:
    """Whether the moments of a column mostly lie behind the transactions, by the same clock."""
    confirmed = _seconds(frame, _time_column(name, found))
    times = _seconds(frame, _main_time(columns))
    both = ~np.isnan(confirmed) & ~np.isnan(times)
    delays = confirmed[both] - times[both]
    return bool(both.any() and ((delays >= -DAY) & (delays < LONGEST_DELAY)).mean() > HALF)


def _seconds(frame: pd.DataFrame, column: Column) -> NDArray[np.float64]:
    """The times of a column, shape (rows,); NaN where there is none."""
    seconds: NDArray[np.float64] = cells.from_text(column, _joined(frame, column)).values
    return seconds


def _joined(frame: pd.DataFrame, column: Column) -> Sequence[str]:
    return cells.joined_texts(column, [frame[name].tolist() for name in column.names])


def _time_column(name: str, inferred: InferredColumn) -> Column:
    """A column of times, as the contract will have it."""
    clock, parts = (json.loads(inferred.keys.get(key, usual)) for key, usual in (("clock", '""'), ("parts", "[]")))
    usual_form = TimeFormat.YEAR_FIRST if parts else TimeFormat.ISO
    form = TimeFormat(json.loads(inferred.keys.get("time_format", f'"{usual_form}"')))
    return Column(name, Kind.TIMESTAMP, Missing.ALLOW, time_format=form, clock=clock, parts=tuple(parts))


def _main_time(columns: Mapping[str, InferredColumn]) -> Column:
    """The time of the transaction: the first column of times."""
    name = _named(columns, Kind.TIMESTAMP)[0]
    return _time_column(name, columns[name])


def _with_comment(inferred: InferredColumn, note: str) -> InferredColumn:
    return replace(inferred, comment="; ".join(filter(None, (inferred.comment, note))))


def _times(frame: pd.DataFrame, columns: Mapping[str, InferredColumn], frauds: NDArray[np.bool_]) -> Times | None:
    """When the transactions were, and their labels known if the file says so; None without a column of times."""
    if not _named(columns, Kind.TIMESTAMP):
        return None
    label = next(columns[name].keys for name in _named(columns, Kind.LABEL))
    confirmed = json.loads(label["confirmed"]) if "confirmed" in label else CONFIRMED_COLUMN
    time, known = _main_time(columns), None
    if confirmed in frame:
        form = TimeFormat(json.loads(label.get("time_format", f'"{time.time_format}"')))
        known = _seconds(frame, Column(confirmed, Kind.TIMESTAMP, Missing.ALLOW, time_format=form))
    return Times.of(_seconds(frame, time), frauds, known)


def _heading(path: Path, known: Preset | None, *, timed: bool) -> list[str]:
    untimed = "# No column is a time that can be read: the rows are cut into periods in the order of the file."
    preset = [
        f"# It has the columns of {known.summary}.",
        f"# The schema that was written for these: fraud schema preset {known.name} -o {known.name}.toml",
    ] if known else []  # fmt: skip
    return [
        f"# Guessed from {json.dumps(path.name)}: check every kind, then train with it.",
        *preset,
        "# kind: number, category, timestamp, id, entity (who takes part), label, or weight (how many transactions a",
        '# row stands for). Uploads must have every column that is named here but the last two. missing: "refuse" (the',
        '# default) or "allow". A number outside minimum and maximum is refused. log = true adds the logarithm',
        "# as a feature.",
        *([] if timed else [untimed]),
        f"name = {json.dumps(path.stem)}",
        "",
    ]


def _reading(reading: Reading) -> list[str]:
    """How the file is written, where that is not as usual; uploads are read alike."""
    keys = reading.to_json()
    if not keys:
        return []
    comment = "# The file is written so; uploads are read alike, and may be plain too."
    return [comment, "[reading]", *(f"{key} = {json.dumps(str(value))}" for key, value in keys.items()), ""]


def _table(name: str, inferred: InferredColumn) -> str:
    lines = [f"[columns.{json.dumps(name, ensure_ascii=False)}]"]
    if inferred.kind is not None:
        lines.append(f'kind = "{inferred.kind}"')
    lines += [f"{key} = {value}" for key, value in inferred.keys.items()]
    comment = " ".join(inferred.comment.split())  # A name may hold a line break.
    lines = [f"# {comment}", *lines] if comment else lines
    return "\n".join(lines if inferred.kind is not None else [f"# {line.removeprefix('# ')}" for line in lines]) + "\n"
