"""What a contract reads, as JSON Schema: what fits it is scored, what does not is refused.

Two things it cannot say: a day that its month does not have, and text of more than the most characters of which some
are blanks at an end. And a CSV file's cells are text: each is the value as it would be written.
"""

from collections.abc import Collection, Mapping
from typing import Any

from contract import dates
from contract.cells import MAX_TEXT_LENGTH, MAX_TIMESTAMP
from contract.schema import FLOAT32_MAX, TRAINING_ONLY_KINDS, Column, Contract, Kind, Missing, TimeFormat

Schema = dict[str, Any]
NOT_BLANK = r"[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""What Python does not strip, spelled out: ECMAScript's blanks are others, some controls and U+FEFF among them."""
MOMENT = 1_773_528_067.0
"""Of the examples: 2026-03-14T22:41:07."""
NAMES = {Kind.ID: "tx-1001", Kind.ENTITY: "e-17", Kind.CATEGORY: "other"}
"""Examples of text; a category has values of its own, where training saw any."""
NOT_READ: Schema = {"description": "May be there, and is not read."}
WHAT = {
    Kind.ID: "Names the transaction: sent again with it, it counts once.",
    Kind.ENTITY: "Whom its history is of.",
    Kind.CATEGORY: "One that training never saw is scored as unknown.",
}


def transaction(contract: Contract, others: Collection[str] = ()) -> Schema:
    """An object that a contract reads; what only training or another version reads may be there too."""
    ignored = {name for column in contract.columns if column.kind in TRAINING_ONLY_KINDS for name in column.names}
    found = of_columns(contract.inputs)
    found["properties"] = dict.fromkeys(sorted({*others, *ignored}), NOT_READ) | found["properties"]
    return found


def of_columns(columns: Collection[Column]) -> Schema:
    """An object with these columns."""
    return {
        "type": "object",
        "properties": {name: schema for column in columns for name, schema in _properties(column).items()},
        "required": [name for column in columns if column.missing is Missing.REFUSE for name in column.names],
        "additionalProperties": False,
        "examples": [{name: value for column in columns for name, value in example(column).items()}],
    }


def example(column: Column) -> Mapping[str, Any]:
    """A value of a column, and of its clock."""
    if column.kind is Kind.NUMBER:
        return {column.name: min(max(212.9, column.minimum), column.maximum)}
    if column.kind is not Kind.TIMESTAMP:
        return {column.name: (*column.values, NAMES.get(column.kind, ""))[0]}
    if column.time_format.is_number:
        return {column.name: MOMENT * dates.UNITS_PER_SECOND[column.time_format]}
    text = dates.format_time(column.time_format, MOMENT)
    return dict(zip(column.names, dates.split_date_time(text), strict=True)) if column.clock else {column.name: text}


def _properties(column: Column) -> Schema:
    schema = _number(column) if _is_number(column) else _text(column)
    if column.missing is Missing.ALLOW:
        schema["type"] = [schema["type"], "null"]
    found = {name: schema | {"examples": [value]} for name, value in example(column).items()}
    if column.clock:
        found[column.clock] |= {"format": "time-of-day", "description": "The time of the day."}
    return found


def _is_number(column: Column) -> bool:
    return column.kind is Kind.NUMBER or (column.kind is Kind.TIMESTAMP and column.time_format.is_number)


def _number(column: Column) -> Schema:
    if column.kind is Kind.NUMBER:
        return {"type": "number", "minimum": column.minimum, "maximum": column.maximum}
    if column.time_format is TimeFormat.SECONDS:
        return {"type": "number", "minimum": -FLOAT32_MAX, "maximum": FLOAT32_MAX, "description": "Seconds."}
    bound = MAX_TIMESTAMP * dates.UNITS_PER_SECOND[column.time_format]
    what = f"{column.time_format.capitalize()} since 1970."
    return {"type": "number", "exclusiveMinimum": -bound, "exclusiveMaximum": bound, "description": what}


def _text(column: Column) -> Schema:
    blank = {} if column.missing is Missing.ALLOW else {"pattern": NOT_BLANK}
    if column.kind is not Kind.TIMESTAMP:
        seen = {"description": WHAT[column.kind]}
        return {"type": "string", "maxLength": MAX_TEXT_LENGTH, **blank, **seen}
    order = "" if column.time_format is TimeFormat.ISO else f"{column.time_format}-"
    if column.clock:
        return {"type": "string", **blank, "format": f"{order}date", "description": "The day."}
    return {"type": "string", **blank, "format": f"{order}date-time", "description": "UTC where it names no offset."}
