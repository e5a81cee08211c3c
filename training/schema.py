"""The schema file: TOML that a person writes, read into the columns and features of a contract.

Each `[columns.<name>]` says what a column of the data is; only what is named is used. Each `[[history]]` says what is
computed of earlier transactions (`training.schema_history`). What the data must tell (a category's values) is learned
from training rows alone and handed to :meth:`Schema.contract`.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from contract.dates import zone_of
from contract.labels import USUAL_WORDS, LabelWords
from contract.schema import (
    FLOAT32_MAX,
    Column,
    Contract,
    ContractError,
    Decimal,
    Feature,
    FeatureKind,
    JsonTypes,
    Kind,
    Missing,
    Others,
    Reading,
    TextMatch,
    TimeFormat,
)
from training import schema_values as values
from training.errors import SchemaError
from training.schema_history import SchemaHistory, parse_history
from training.source import read_bytes

DEFAULT = Path(__file__).with_name("default_schema.toml")
"""The schema of the simulator's transactions."""
KEYS = {
    Kind.NUMBER: {"missing_words", "minimum", "maximum", "log"},
    Kind.CATEGORY: {"missing_words", "max_categories", "min_count", "match"},
    Kind.TIMESTAMP: {"missing_words", "time_format", "cycles", "clock", "zone", "parts"},
    Kind.ID: {"missing_words", "match"},
    Kind.ENTITY: {"missing_words", "match"},
    Kind.LABEL: {"fraud", "genuine", "unknown", "confirmed", "time_format"},
}
"""The keys that a column may have by its kind, beside `kind`, `missing`, `leak` and `aliases`."""
USUAL_MATCH = {Kind.CATEGORY: TextMatch.NORMAL, Kind.ID: TextMatch.UNQUOTED, Kind.ENTITY: TextMatch.UNQUOTED}
"""Which ways of writing a text are one, where the schema does not say."""
CYCLES = {
    "hour": (FeatureKind.HOUR_SIN, FeatureKind.HOUR_COS),
    "weekday": (FeatureKind.WEEKDAY_SIN, FeatureKind.WEEKDAY_COS),
}


USUAL_READING = Reading(json_types=JsonTypes.LENIENT)
"""Of a model that is trained now, where its schema does not say."""


PARTS_EXAMPLE = '["Year", "Month", "Day", "Time"]'


class Leak(StrEnum):
    """Whether a column that alone predicts the label is refused or allowed."""

    REFUSE = "refuse"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class SchemaColumn:
    """One column as the schema file describes it.

    Attributes:
        missing_words: cells that mean the same as an empty one; see `contract.schema.Column`.
        minimum: smallest number accepted, in the column's own unit; numbers only, like `maximum` and `log`.
        log: whether the number's logarithm is a feature beside the number.
        max_categories: the most values of a category that get a code of their own.
        min_count: training rows that a category's value needs for that; rarer ones are "unknown".
        clock: the column that holds the time of the day, where this one holds only the day; timestamps only.
        zone: whose clocks times without an offset are from, as Europe/Berlin; timestamps only.
        parts: the columns that hold year, month, day, and the time of the day; timestamps only.
        cycles: which of "hour" and "weekday" become features; timestamps only.
        match: which ways of writing a text are one; ids, entities and categories only.
        leak: whether the column may tell the label alone, as one that is known when a transaction is scored.
        aliases: other names that a file may have for it.
        words: what the cells of a label mean; labels only.
        confirmed: the column that says since when the label is known, in this one's `time_format`; labels only.
    """

    name: str
    kind: Kind
    missing: Missing = Missing.REFUSE
    minimum: float = -FLOAT32_MAX
    maximum: float = FLOAT32_MAX
    log: bool = False
    max_categories: int = 100
    min_count: int = 10
    time_format: TimeFormat = TimeFormat.ISO
    clock: str = ""
    cycles: tuple[str, ...] = ()
    match: TextMatch = TextMatch.EXACT
    leak: Leak = Leak.REFUSE
    aliases: tuple[str, ...] = ()
    missing_words: tuple[str, ...] = ()
    words: LabelWords = USUAL_WORDS
    confirmed: str = ""
    zone: str = ""
    parts: tuple[str, ...] = ()

    def column(self, known: tuple[str, ...]) -> Column:
        """The contract's column; `known` are a category's known values."""
        return Column(
            self.name,
            self.kind,
            self.missing,
            self.minimum,
            self.maximum,
            known,
            time_format=self.time_format,
            clock=self.clock,
            aliases=self.aliases,
            missing_words=self.missing_words,
            match=self.match,
            words=self.words,
            confirmed=self.confirmed,
            zone=self.zone,
            parts=self.parts,
        )

    def features(self) -> Iterator[Feature]:
        """The features made from this column."""
        if self.kind is Kind.NUMBER:
            yield Feature(self.name, FeatureKind.NUMBER, self.name)
        if self.log:
            yield Feature(f"log({self.name})", FeatureKind.LOG, self.name)
        if self.kind is Kind.CATEGORY:
            yield Feature(self.name, FeatureKind.CATEGORY, self.name)
        for kind in (kind for cycle in self.cycles for kind in CYCLES[cycle]):
            yield Feature(f"{kind}({self.name})", kind, self.name)


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema file's content: the columns, and the blocks of history, in the file's order."""

    name: str
    columns: tuple[SchemaColumn, ...]
    history: tuple[SchemaHistory, ...] = ()
    reading: Reading = USUAL_READING

    @property
    def label(self) -> str:
        """Name of the column that says which rows were fraud."""
        return next(column.name for column in self.columns if column.kind is Kind.LABEL)

    @property
    def allowed_leaks(self) -> tuple[str, ...]:
        """The columns that may tell the label alone."""
        return tuple(column.name for column in self.columns if column.leak is Leak.ALLOW)

    def contract(self, vocabularies: Mapping[str, tuple[str, ...]]) -> Contract:
        """The contract, with these known values of each category; a category that is not named has none.

        Raises:
            SchemaError: the parts do not fit each other.
        """
        parts: tuple[SchemaColumn | SchemaHistory, ...] = (*self.columns, *self.history)
        try:
            return Contract(
                name=self.name,
                columns=tuple(column.column(vocabularies.get(column.name, ())) for column in self.columns),
                features=tuple(feature for part in parts for feature in part.features()),
                history=tuple(window for block in self.history for window in block.windows),
                reading=self.reading,
            )
        except ContractError as error:
            raise SchemaError(f"The schema does not hold together: {error}.") from error


def load_schema(path: Path) -> Schema:
    """Reads a schema file.

    Raises:
        TrainingError: it cannot be read.
        SchemaError: it cannot be obeyed; the message says what to write instead.
    """
    try:
        text = read_bytes(path, "schema").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SchemaError(f"The schema {path} cannot be read: save it as UTF-8.") from None
    return parse_schema(text)


def parse_schema(text: str) -> Schema:
    """Reads the text of a schema file.

    Raises:
        SchemaError: as :func:`load_schema`.
    """
    try:
        fields = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(
            f'The schema is not TOML: {error}. A column name with spaces or dots needs quotes: [columns."my column"].'
        ) from error
    values.only("The schema", fields, {"name", "reading", "columns", "history"})
    name, columns = _name(fields), _with_label_time(fields, tuple(_columns(fields)))
    kinds = {column.name: column.kind for column in columns}
    schema = Schema(name, columns, parse_history(fields.get("history", []), kinds), _reading(fields.get("reading", {})))
    _one_label(schema)
    schema.contract({})
    return schema


def _name(fields: Mapping[str, Any]) -> str:
    name = fields.get("name")
    if not isinstance(name, str) or not name.strip():
        raise SchemaError('The schema needs a name at its top: name = "card-payments".')
    return name


def _reading(fields: object) -> Reading:
    """How files and objects are read."""
    where = "The table [reading]"
    if not isinstance(fields, dict):
        raise SchemaError('How files are read is a table: write [reading] and below it decimal = ",".')
    values.only(where, fields, {"decimal", "encoding", "others", "json_types"})
    try:
        return Reading(
            values.choice(where, "decimal", fields.get("decimal", Decimal.UNKNOWN), Decimal),
            values.text(where, "encoding", fields.get("encoding", "")),
            values.choice(where, "others", fields.get("others", Others.REFUSE), Others),
            values.choice(where, "json_types", fields.get("json_types", USUAL_READING.json_types), JsonTypes),
        )
    except ContractError as error:
        raise SchemaError(f"{where}: {error}.") from error


def _columns(fields: Mapping[str, Any]) -> Iterator[SchemaColumn]:
    columns = fields.get("columns")
    if not isinstance(columns, dict) or not columns:
        raise SchemaError('The schema names no column: write [columns.amount] and below it kind = "number".')
    for name, column in columns.items():
        if not isinstance(column, dict):
            raise SchemaError(f'Column {name}: write [columns.{name}] and below it kind = "number".')
        yield _column(name, column)


def _with_label_time(fields: Mapping[str, Any], columns: tuple[SchemaColumn, ...]) -> tuple[SchemaColumn, ...]:
    """The columns, since when a label is known written as the transactions' time is where nothing else is said."""
    time = next((column.time_format for column in columns if column.kind is Kind.TIMESTAMP), TimeFormat.ISO)
    return tuple(
        replace(column, time_format=time)
        if column.confirmed and "time_format" not in fields["columns"][column.name]
        else column
        for column in columns
    )


def _column(name: str, fields: Mapping[str, Any]) -> SchemaColumn:
    where = f"Column {name}"
    kind = values.choice(where, "kind", fields.get("kind"), Kind)
    values.only(f"{where} ({kind})", fields, {"kind", "missing", "leak", "aliases"} | KEYS.get(kind, set()))
    usual_form = TimeFormat.YEAR_FIRST if "parts" in fields else TimeFormat.ISO
    time_format = values.choice(where, "time_format", fields.get("time_format", usual_form), TimeFormat)
    # Seconds may count from any moment, so their hour means something only where the person says so.
    usual_cycles = list(CYCLES) if kind is Kind.TIMESTAMP and time_format.is_dated else []
    return SchemaColumn(
        name=name,
        kind=kind,
        missing=_missing(where, kind, fields),
        minimum=values.number(where, "minimum", fields.get("minimum", -FLOAT32_MAX)),
        maximum=values.number(where, "maximum", fields.get("maximum", FLOAT32_MAX)),
        log=values.boolean(where, "log", fields.get("log", False)),
        max_categories=values.count(where, "max_categories", fields.get("max_categories", 100)),
        min_count=values.count(where, "min_count", fields.get("min_count", 10)),
        time_format=time_format,
        clock=values.text(where, "clock", fields.get("clock", "")),
        cycles=_cycles(where, fields.get("cycles", usual_cycles)),
        match=_match(where, kind, fields),
        leak=values.choice(where, "leak", fields.get("leak", Leak.REFUSE), Leak),
        aliases=values.texts(where, "aliases", fields["aliases"], '["Amount (EUR)"]') if "aliases" in fields else (),
        missing_words=values.words(where, "missing_words", fields.get("missing_words", [])),
        words=_label_words(where, fields),
        confirmed=values.text(where, "confirmed", fields.get("confirmed", "")),
        zone=_zone(where, fields),
        parts=values.texts(where, "parts", fields["parts"], PARTS_EXAMPLE) if "parts" in fields else (),
    )


def _missing(where: str, kind: Kind, fields: Mapping[str, Any]) -> Missing:
    missing = values.choice(where, "missing", fields.get("missing", Missing.REFUSE), Missing)
    if kind is Kind.LABEL and missing is Missing.ALLOW:
        raise SchemaError(f"{where}: a label needs no missing; leave its cell empty where nobody knows.")
    if kind is Kind.WEIGHT and missing is Missing.ALLOW:
        raise SchemaError(f"{where}: a weight cannot be missing; write 1 for a row that stands for itself alone.")
    return missing


def _zone(where: str, fields: Mapping[str, Any]) -> str:
    zone = values.text(where, "zone", fields.get("zone", ""))
    try:
        zone_of(zone)
    except ContractError as error:
        raise SchemaError(f"{where}: {error}.") from error
    return zone


def _match(where: str, kind: Kind, fields: Mapping[str, Any]) -> TextMatch:
    match = values.choice(where, "match", fields.get("match", USUAL_MATCH.get(kind, TextMatch.EXACT)), TextMatch)
    if match is TextMatch.NORMAL and kind is not Kind.CATEGORY:
        raise SchemaError(f'{where}: an {kind} has no normal form, for C12 and c12 may be two: match = "unquoted".')
    return match


def _label_words(where: str, fields: Mapping[str, Any]) -> LabelWords:
    """What the cells of a label mean; numbers and flags stand for how a file writes them."""
    keys = [key for key in ("fraud", "genuine", "unknown") if key in fields]
    lists = {key: values.label_words(where, key, fields[key]) for key in keys}
    if not lists:
        return USUAL_WORDS
    usual = {"fraud": USUAL_WORDS.fraud, "genuine": USUAL_WORDS.genuine} if set(lists) == {"unknown"} else {}
    try:
        return LabelWords.of(**{"fraud": (), "genuine": (), **usual, **lists})
    except ValueError as error:
        raise SchemaError(f"{where}: {error}.") from None


def _cycles(where: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not set(map(str, value)) <= set(CYCLES):
        raise SchemaError(f'{where}: cycles must be a list of "hour" and "weekday", for example ["hour"].')
    return tuple(value)


def _one_label(schema: Schema) -> None:
    labels = [column.name for column in schema.columns if column.kind is Kind.LABEL]
    if len(labels) != 1:
        raise SchemaError(
            f"The schema must have exactly one label and has {len(labels)}: "
            'give the column that is 1 for fraud and 0 otherwise kind = "label".'
        )
