"""The transactions that a contract accepts, as JSON Schema.

Three things it cannot express: a day that its month does not have, text over the maximum length whose excess is blanks
at an end, and a word that means a missing cell, in any case. And a CSV file's cells are text: each is the value as it
would be written.
"""

from collections.abc import Collection, Mapping
from typing import Any

from contract import dates
from contract.cells import MAX_TEXT_LENGTH, MAX_TIMESTAMP
from contract.schema import FLOAT32_MAX, TRAINING_ONLY_KINDS, Column, Contract, Kind, Missing, TimeFormat

Schema = dict[str, Any]
NOT_BLANK = r"[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""Any character that Python's strip() leaves; ECMAScript's \\S differs, for some controls and U+FEFF."""
EXAMPLE_TIME = 1_773_528_067.0
"""Of the examples: 2026-03-14T22:41:07."""
EXAMPLE_TEXTS = {Kind.ID: "tx-1001", Kind.ENTITY: "e-17", Kind.CATEGORY: "other"}
"""Examples of text; a category has values of its own, where training saw any."""
PARTS = ("year", "month", "day", "hour", "minute", "second")
IGNORED: Schema = {"description": "May be there, and is not read."}
DESCRIPTIONS = {
    Kind.ID: "Names the transaction: sent again with it, it counts once.",
    Kind.ENTITY: "Whom its history is of.",
    Kind.CATEGORY: "One that training never saw is scored as unknown.",
}


def transaction_schema(contract: Contract, others: Collection[str] = ()) -> Schema:
    """An object that a contract reads; what only training or another version reads may be there too."""
    ignored = {name for column in contract.columns if column.kind in TRAINING_ONLY_KINDS for name in column.names}
    schema = object_schema(contract.inputs)
    schema["properties"] = dict.fromkeys(sorted({*others, *ignored}), IGNORED) | schema["properties"]
    return schema


def object_schema(columns: Collection[Column]) -> Schema:
    """An object with these columns."""
    return {
        "type": "object",
        "properties": {name: schema for column in columns for name, schema in _properties(column).items()},
        "required": [name for column in columns if column.missing is Missing.REFUSE for name in column.names],
        "additionalProperties": False,
        "examples": [{name: value for column in columns for name, value in example(column).items()}],
    }


def example(column: Column) -> Mapping[str, Any]:
    """A value of a column, and of its clock; or of its parts."""
    if column.kind is Kind.NUMBER:
        return {column.name: min(max(212.9, column.minimum), column.maximum)}
    if column.kind is not Kind.TIMESTAMP:
        return {column.name: (*column.values, EXAMPLE_TEXTS.get(column.kind, ""))[0]}
    if column.time_format.is_number:
        return {column.name: float(dates.format_time(column.time_format, EXAMPLE_TIME))}
    text = dates.format_time(column.time_format, EXAMPLE_TIME, dates.zone_of(column.zone))
    return dict(zip(column.names, dates.split_parts(text, len(column.names)), strict=True))


def _properties(column: Column) -> Schema:
    if column.parts:
        return _parts(column)
    schema = _number(column) if column.is_number else _text(column)
    if column.missing is Missing.ALLOW:
        schema["type"] = [schema["type"], "null"]
    if column.missing_words:
        descriptions = (schema.get("description"), f"Missing where it is {', '.join(column.missing_words)}.")
        schema["description"] = " ".join(filter(None, descriptions))
    properties = {name: schema | {"examples": [value]} for name, value in example(column).items()}
    if column.clock:
        properties[column.clock] |= {"format": "time-of-day", "description": "The time of the day."}
    return properties


def _parts(column: Column) -> Schema:
    """Year, month, day and the time of the day: whole numbers or text."""
    *_, last = words = PARTS[: len(column.parts)]
    if len(words) == len(PARTS[:4]):
        words = (*words[:-1], f"{last}, or the time of the day as 18:05 or 1805")
    types = ["string", "integer", *(["null"] if column.missing is Missing.ALLOW else [])]
    blank = {} if column.missing is Missing.ALLOW else {"pattern": NOT_BLANK}
    shown = example(column)
    return {
        name: {"type": types, **blank, "description": f"{word.capitalize()}.", "examples": [shown[name]]}
        for name, word in zip(column.parts, words, strict=True)
    }


def _number(column: Column) -> Schema:
    if column.kind is Kind.NUMBER:
        return {"type": "number", "minimum": column.minimum, "maximum": column.maximum}
    if column.time_format is TimeFormat.SECONDS:
        return {"type": "number", "minimum": -FLOAT32_MAX, "maximum": FLOAT32_MAX, "description": "Seconds."}
    bound = float(dates.format_time(column.time_format, MAX_TIMESTAMP))
    what = f"{column.time_format.capitalize()}{' since 1970' if column.time_format.is_dated else ''}."
    return {"type": "number", "exclusiveMinimum": -bound, "exclusiveMaximum": bound, "description": what}


def _text(column: Column) -> Schema:
    blank = {} if column.missing is Missing.ALLOW else {"pattern": NOT_BLANK}
    if column.kind is not Kind.TIMESTAMP:
        return {"type": "string", "maxLength": MAX_TEXT_LENGTH, **blank, "description": DESCRIPTIONS[column.kind]}
    order = "" if column.time_format is TimeFormat.ISO else f"{column.time_format}-"
    if column.clock:
        return {"type": "string", **blank, "format": f"{order}date", "description": "The day."}
    return {
        "type": "string",
        **blank,
        "format": f"{order}date-time",
        "description": f"{column.zone or 'UTC'} where it names no offset.",
    }
