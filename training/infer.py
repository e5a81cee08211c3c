"""A first schema for a person's own file: every column's kind guessed from its cells, written as TOML to be edited.

The guess must train without edits on an ordinary file, so it looks at every row: bounds from a part of them would
refuse the rest. A column whose name says that it may tell the label is left out with the reason beside it.
"""

import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from contract.cells import LONGEST_TEXT
from contract.schema import FLOAT32_MAX, Kind
from training.data import FALSE, TRUE, csv_bytes
from training.errors import TrainingError

LABEL_NAMES = ("is_fraud", "isfraud", "fraud", "tx_fraud", "fraud_label", "label", "class", "target")
"""The usual names of a label, the surest first."""
ID_NAME = re.compile(r"(^|[_\s.-])(id|uuid|guid|key|ref|reference)$|^(id|uuid|index)|[a-z]I[Dd]$", re.IGNORECASE)
CODE_NAME = re.compile(r"(code|mcc|type|category|country|zip|postal|postcode)s?$", re.IGNORECASE)
TIME_NAME = re.compile(r"time|date|seconds|timestamp|(^|_)(ts|dt)$", re.IGNORECASE)
MOST_CATEGORIES = 200
"""Different values up to which text is a category; above, it names somebody or something."""
FEW_NUMBERS = 12
LOOKED_AT = 2000
"""Cells, spread over the column, that must be dates for it to be a timestamp."""
SKEWED = 10.0
"""How many medians the largest number must be for its logarithm to become a feature."""
EPOCH = (1e9, 1e10)
"""Numbers between these are taken for seconds since 1970: only then do they tell the hour."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What a column seems to be.

    Attributes:
        kind: None leaves the column out.
        keys: the other keys of its table, TOML values by name.
        comment: for the person who edits the schema.
    """

    kind: Kind | None
    keys: Mapping[str, str]
    comment: str = ""


def infer_schema(path: Path) -> str:
    """The text of a first schema file for a CSV or parquet file, with comments for the person who edits it.

    Raises:
        TrainingError: the file cannot be read, or no column can be the label.
    """
    frame = _frame(path)
    label = _label(frame)
    truth = frame[label].isin(TRUE)
    guesses = _one_id({name: _guess(name, frame[name], label, truth) for name in frame.columns if name})
    return "\n".join([*_heading(path), *(_table(name, guess) for name, guess in guesses.items())])


def _frame(path: Path) -> pd.DataFrame:
    """Every cell as text without spaces around it, "" where it is empty; columns without a name are left out."""
    try:
        source = _parquet_as_csv(path) if path.suffix == ".parquet" else path
        # The header is read as a row: pandas would make up names for columns without one and rename doubles.
        cells = pd.read_csv(source, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, pa.ArrowInvalid, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise TrainingError(
            f"The data file {path} cannot be read as CSV or parquet: {type(error).__name__}."
        ) from error
    frame = cells.iloc[1:].reset_index(drop=True).fillna("")
    frame.columns = cells.iloc[0].fillna("").str.strip()
    if frame.empty:
        raise TrainingError(f"The data file {path} has no rows.")
    if doubles := sorted({name for name in frame.columns[frame.columns.duplicated()] if name}):
        raise TrainingError(f"The data file {path} has more than one column called {', '.join(doubles)}.")
    named: pd.DataFrame = frame.loc[:, frame.columns != ""].apply(lambda column: column.str.strip())
    return named


def _parquet_as_csv(path: Path) -> io.BytesIO:
    return io.BytesIO(csv_bytes(pa.parquet.read_table(path).to_pandas()))


def _label(frame: pd.DataFrame) -> str:
    """The label: a column of 0 and 1 with a usual name, else one whose name has "fraud" in it, else the rarest."""
    shares = {name: share for name in frame.columns if (share := _positive_share(frame[name])) is not None}
    by_name = {name.lower(): name for name in shares}
    for name in (name for name in LABEL_NAMES if name in by_name):
        return by_name[name]
    if speaking := [name for name in shares if "fraud" in name.lower()]:
        return speaking[0]
    both = {name: share for name, share in shares.items() if 0 < share < 1}
    if not both:
        raise TrainingError(
            "No column can be the label: one must be 1 where a transaction was fraud and 0 otherwise in every row."
        )
    return min(both, key=lambda name: both[name])


def _positive_share(column: pd.Series) -> float | None:
    """The share of ones in a column of zeros and ones; None for any other column."""
    if not set(column.unique()) <= {*TRUE, *FALSE}:
        return None
    return float(column.isin(TRUE).mean())


def _guess(name: str, column: pd.Series, label: str, truth: pd.Series) -> Guess:
    if name == label:
        return Guess(Kind.LABEL, {}, "1 for fraud, 0 otherwise")
    if "fraud" in name.lower() or "chargeback" in name.lower():
        return Guess(None, {}, "left out: by its name it may tell the label, and a model would only repeat it")
    if _tells(column, truth):
        return Guess(None, {}, "left out: it alone tells the label in every row, so it was probably made from it")
    full = column[column != ""]
    allow = {"missing": '"allow"'} if len(full) < len(column) else {}
    if full.empty:
        return Guess(Kind.ENTITY, allow, "empty in every row: accepted, but no feature is made from it")
    guess = _guess_filled(name, full)
    return Guess(guess.kind, {**allow, **guess.keys}, guess.comment)


def _tells(column: pd.Series, truth: pd.Series) -> bool:
    """Whether a column of few values has no value that both frauds and others share: a sample weight, a case status."""
    if not 1 < column.nunique() <= FEW_NUMBERS or truth.nunique() == 1:
        return False
    return bool((truth.groupby(column).nunique() == 1).all())


def _guess_filled(name: str, full: pd.Series) -> Guess:
    numbers = pd.to_numeric(full, errors="coerce").to_numpy(dtype=np.float64)
    if np.isfinite(numbers).all() and np.abs(numbers).max() < FLOAT32_MAX:
        return _numeric(name, full, numbers)
    if _iso(full):
        return Guess(Kind.TIMESTAMP, {"time_format": '"iso"'})
    return _text(name, full)


def _numeric(name: str, full: pd.Series, numbers: NDArray[np.float64]) -> Guess:
    whole = bool((numbers == np.round(numbers)).all())
    if whole and _counting(numbers) and not TIME_NAME.search(name):
        return _id_or_entity(full)
    if whole and (ID_NAME.search(name) or CODE_NAME.search(name)):
        return _text(name, full)
    if TIME_NAME.search(name) and bool((np.diff(numbers) >= 0).all()) and numbers[-1] > numbers[0]:
        return _seconds(numbers)
    return Guess(Kind.NUMBER, _bounds(numbers) | _log(numbers))


def _counting(numbers: NDArray[np.float64]) -> bool:
    """Whether the rows are merely numbered."""
    return len(numbers) > FEW_NUMBERS and bool((np.diff(numbers) == 1).all())


def _seconds(numbers: NDArray[np.float64]) -> Guess:
    since_1970 = EPOCH[0] < numbers[0] < EPOCH[1]
    cycles = {"cycles": '["hour", "weekday"]'} if since_1970 else {}
    moment = "1970" if since_1970 else "some moment"
    comment = f'ascending: taken for the seconds since {moment}; if it is another thing, kind = "number"'
    return Guess(Kind.TIMESTAMP, {"time_format": '"seconds"', **cycles}, comment)


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
    return {"log": "true"} if skewed and len(np.unique(numbers[:LOOKED_AT])) > FEW_NUMBERS else {}


def _iso(full: pd.Series) -> bool:
    """Whether cells spread over the whole column are ISO 8601 as the contract reads it."""
    step = max(1, len(full) // LOOKED_AT)
    try:
        for cell in full.iloc[::step]:
            datetime.fromisoformat(cell)
    except ValueError:
        return False
    return True


def _text(name: str, full: pd.Series) -> Guess:
    different = full.nunique()
    if full.str.len().max() > LONGEST_TEXT:
        return Guess(None, {}, f"left out: some cells have more than {LONGEST_TEXT} characters")
    if ID_NAME.search(name) and different > FEW_NUMBERS:
        return _id_or_entity(full)
    if different <= MOST_CATEGORIES and (different < len(full) / 2 or different <= FEW_NUMBERS):
        return Guess(Kind.CATEGORY, {}, f"{different} different values")
    if TIME_NAME.search(name):
        return Guess(Kind.ENTITY, {}, "if this is a time, write it as 2026-01-31T18:05:00 to have it used")
    return _id_or_entity(full)


def _id_or_entity(full: pd.Series) -> Guess:
    different = full.nunique()
    if different == len(full):
        return Guess(Kind.ID, {}, "different in every row")
    return Guess(Kind.ENTITY, {}, f"{different} different values: who or what takes part, no feature by itself")


def _one_id(guesses: dict[str, Guess]) -> dict[str, Guess]:
    """The first id, or the first that is called one, stays; other unique columns are entities."""
    ids = [name for name, guess in guesses.items() if guess.kind is Kind.ID]
    chosen = next((name for name in ids if ID_NAME.search(name)), ids[0] if ids else None)
    return {
        name: replace(guess, kind=Kind.ENTITY) if guess.kind is Kind.ID and name != chosen else guess
        for name, guess in guesses.items()
    }


def _heading(path: Path) -> list[str]:
    return [
        f"# Guessed from {json.dumps(path.name)}: check every kind, then train with it.",
        "# kind: number, category, timestamp, id, entity (who takes part) or label. Uploads must have every column",
        '# that is named here but the label. missing: "refuse" (the default) or "allow". A number outside minimum and',
        "# maximum is refused. log = true adds the number's logarithm as a feature.",
        f"name = {json.dumps(path.stem)}",
        "",
    ]


def _table(name: str, guess: Guess) -> str:
    lines = [f"[columns.{json.dumps(name, ensure_ascii=False)}]"]
    if guess.kind is not None:
        lines.append(f'kind = "{guess.kind}"')
    lines += [f"{key} = {value}" for key, value in guess.keys.items()]
    lines = [f"# {guess.comment}", *lines] if guess.comment else lines
    return "\n".join(lines if guess.kind is not None else [f"# {line.removeprefix('# ')}" for line in lines]) + "\n"
