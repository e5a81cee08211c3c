"""Values as TOML holds them, checked: what a key of the schema file may be, or the refusal that says what to write."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from contract.windows import UNITS
from training.errors import SchemaError

_Choice = TypeVar("_Choice", bound=StrEnum)
_WORDS = (str, int, float)
LABEL_EXAMPLES = {"fraud": "Yes", "genuine": "No", "unknown": "pending"}
DURATION = re.compile(rf"([1-9][0-9]{{0,5}})([{''.join(UNITS)}])")


def only(where: str, fields: Mapping[str, Any], known: set[str]) -> None:
    """Refuses unknown keys: an unknown key is a spelling mistake until proven otherwise."""
    unknown = sorted(set(fields) - known)
    if unknown:
        raise SchemaError(f"{where} has unknown keys: {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")


def choice(where: str, key: str, value: Any, choices: type[_Choice]) -> _Choice:  # noqa: ANN401 - whatever TOML holds.
    """One of some words."""
    try:
        return choices(value)
    except ValueError:
        raise SchemaError(f"{where}: {key} must be one of {quoted(choices)}.") from None


def number(where: str, key: str, value: object) -> float:
    """A number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SchemaError(f"{where}: {key} must be a number without quotes.")
    return float(value)


def boolean(where: str, key: str, value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise SchemaError(f"{where}: {key} must be true or false, without quotes.")
    return value


def count(where: str, key: str, value: object) -> int:
    """A whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SchemaError(f"{where}: {key} must be a whole number from 1.")
    return value


def text(where: str, key: str, value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise SchemaError(f'{where}: {key} must be a text in quotes: {key} = "a column".')
    return value


def texts(where: str, key: str, value: object, example: str) -> tuple[str, ...]:
    """A list of different texts, one at least; `example` shows how it is written."""
    good = isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
    if not isinstance(value, list) or not good or len(set(value)) < len(value):
        raise SchemaError(f"{where}: {key} must be a list, each item once: {key} = {example}.")
    return tuple(value)


def words(where: str, key: str, value: object) -> tuple[str, ...]:
    """A list of words, perhaps empty; a number stands for its text."""
    if not isinstance(value, list) or any(isinstance(item, bool) or not isinstance(item, _WORDS) for item in value):
        raise SchemaError(f'{where}: {key} must be a list of words: {key} = ["NULL", "-1"].')
    return tuple(map(str, value))


def label_words(where: str, key: str, value: object) -> tuple[str, ...]:
    """A list of words, one at least; a number or a flag stands for its text."""
    if not isinstance(value, list) or not value or not all(isinstance(item, str | int | float) for item in value):
        raise SchemaError(f'{where}: {key} must be a list of one word or more: {key} = ["{LABEL_EXAMPLES[key]}"].')
    return tuple(map(str, value))


def seconds(where: str, key: str, value: object) -> int:
    """A duration in seconds, written as 90m, 24h or 30d."""
    result = DURATION.fullmatch(value) if isinstance(value, str) else None
    if result is None:
        raise SchemaError(f'{where}: {key} must be a whole number of minutes, hours or days: "90m", "24h", "30d".')
    return int(result[1]) * UNITS[result[2]]


def quoted(names: type[StrEnum] | list[str]) -> str:
    """Names as they are written in the file."""
    return ", ".join(f'"{name}"' for name in names)
