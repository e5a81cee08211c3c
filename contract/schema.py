"""What a model version expects: its columns, and the features made from them.

A contract is data, not code. Training writes it from a schema file, each archive carries it, and the gateway
obeys whichever one the live version brings. Two contracts are the same exactly when their fingerprints are:
the SHA-256 of the one canonical JSON text that :meth:`Contract.to_bytes` writes.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from contract.column_names import spellings
from contract.labels import USUAL_WORDS, LabelWords
from contract.normal_forms import normal_form, unquoted
from contract.windows import NUMBER_AGGREGATES, Aggregate, Window

FORMAT = 1
CONFIRMED_COLUMN = "confirmed_at"
"""The column of a file of transactions that says since when a label is known: in no contract, and never a feature."""
FLOAT32_MAX = 3.4028234663852886e38
"""Largest magnitude that a cell may hold: the matrix is float32."""


class ContractError(ValueError):
    """A contract or schema that cannot be obeyed; the model builder's fault."""


class Kind(StrEnum):
    """What the cells of a column are."""

    NUMBER = "number"
    CATEGORY = "category"
    TIMESTAMP = "timestamp"
    ID = "id"
    ENTITY = "entity"
    LABEL = "label"
    WEIGHT = "weight"


TRAINING_ONLY_KINDS = frozenset({Kind.LABEL, Kind.WEIGHT})
"""The kinds that training alone reads: a transaction to be scored need not have them, and they are ignored there."""


class Missing(StrEnum):
    """What an empty cell means: refused as the caller's fault, or left for the model to impute."""

    REFUSE = "refuse"
    ALLOW = "allow"


class TextMatch(StrEnum):
    """Which ways of writing a text are one text; blanks around it never count.

    Ids and entities: `unquoted` at most, for C12 and c12 may be two cards. A contract of an earlier release names none,
    which is `exact`.
    """

    EXACT = "exact"
    UNQUOTED = "unquoted"
    """Quotes around it do not count."""
    NORMAL = "normal"
    """Only its normal form counts (`contract.normal_forms`): it becomes the known value of that form, if any."""


TEXT_MATCHES = {
    Kind.CATEGORY: tuple(TextMatch),
    Kind.ID: (TextMatch.EXACT, TextMatch.UNQUOTED),
    Kind.ENTITY: (TextMatch.EXACT, TextMatch.UNQUOTED),
}
"""What each kind of text that serving reads may be matched by."""


class TimeFormat(StrEnum):
    """How a timestamp is written (`contract.dates`): text, UTC where it names no offset, or a number."""

    ISO = "iso"
    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    MICROSECONDS = "microseconds"
    HOURS = "hours"
    DAYS = "days"
    DAY_FIRST = "day-first"
    MONTH_FIRST = "month-first"
    YEAR_FIRST = "year-first"

    @property
    def is_number(self) -> bool:
        """Whether a cell is a number, and not text."""
        return self in {TimeFormat.MILLISECONDS, TimeFormat.MICROSECONDS} or not self.is_dated

    @property
    def is_dated(self) -> bool:
        """Whether a cell tells the date; seconds, hours and days may count from any moment."""
        return self not in {TimeFormat.SECONDS, TimeFormat.HOURS, TimeFormat.DAYS}


class Decimal(StrEnum):
    """The sign between a number's whole part and its fraction; UNKNOWN: each file tells."""

    POINT = "."
    COMMA = ","
    UNKNOWN = "auto"


class Others(StrEnum):
    """What becomes of columns that a contract does not know."""

    REFUSE = "refuse"
    IGNORE = "ignore"


class JsonTypes(StrEnum):
    """Whether a value in JSON must have its column's own type."""

    STRICT = "strict"
    LENIENT = "lenient"


ENCODINGS = (
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1257", "iso8859-1", "iso8859-2", "iso8859-15", "shift_jis",
    "gbk", "big5", "euc_kr",
)  # fmt: skip
"""Encodings that a schema may name, beside UTF-8 and UTF-16, which tell themselves."""


class FeatureKind(StrEnum):
    """How a feature is computed from its column; `contract.features` has one function for each."""

    NUMBER = "number"
    LOG = "log"
    CATEGORY = "category"
    HOUR_SIN = "hour_sin"
    HOUR_COS = "hour_cos"
    WEEKDAY_SIN = "weekday_sin"
    WEEKDAY_COS = "weekday_cos"


SOURCE_KIND = {
    FeatureKind.NUMBER: Kind.NUMBER,
    FeatureKind.LOG: Kind.NUMBER,
    FeatureKind.CATEGORY: Kind.CATEGORY,
    FeatureKind.HOUR_SIN: Kind.TIMESTAMP,
    FeatureKind.HOUR_COS: Kind.TIMESTAMP,
    FeatureKind.WEEKDAY_SIN: Kind.TIMESTAMP,
    FeatureKind.WEEKDAY_COS: Kind.TIMESTAMP,
}
"""The kind of column that each kind of feature reads."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an uploaded file.

    Attributes:
        minimum: smallest number accepted, in the column's own unit; numbers only.
        maximum: largest number accepted, in the column's own unit; numbers only.
        values: a category's known values in the order of their codes; others are scored as unknown.
        time_format: how a timestamp is written; timestamps only.
        clock: the column beside it that holds the time of the day, where this one holds the day alone; timestamps only.
        aliases: other names that a file may have for it.
        missing_words: cells that are missing ones as if they were empty, whatever their case; among numbers a word that
            is a number stands for that number, however it is written. Not of labels and weights.
        match: which ways of writing a text are one; ids, entities and categories only.
        words: what the cells of a label mean; labels only.
        confirmed: the column beside it that says since when the label is known, in this column's `time_format`; labels
            only.
        zone: whose clocks a time without an offset was read from, as Europe/Berlin; UTC where it is empty. Timestamps
            that are text only.
        parts: the columns of a file that hold year, month, day and perhaps the time of the day (in one, or hour, minute
            and second in up to three), where none is called `name`; timestamps only.
    """

    name: str
    kind: Kind
    missing: Missing = Missing.REFUSE
    minimum: float = -FLOAT32_MAX
    maximum: float = FLOAT32_MAX
    values: tuple[str, ...] = ()
    time_format: TimeFormat = TimeFormat.ISO
    clock: str = ""
    aliases: tuple[str, ...] = ()
    missing_words: tuple[str, ...] = ()
    match: TextMatch = TextMatch.EXACT
    words: LabelWords = USUAL_WORDS
    confirmed: str = ""
    zone: str = ""
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses bounds that no number meets, values that no cell can hold, and what its kind does not use."""
        if not self.name or self.name != self.name.strip():
            raise ContractError("a column's name is empty or has spaces around it")
        if not -FLOAT32_MAX <= self.minimum <= self.maximum <= FLOAT32_MAX:
            raise ContractError(f"column {self.name}: minimum and maximum are not an interval of float32")
        if len(set(self.values)) != len(self.values):
            raise ContractError(f"column {self.name}: a category value is listed twice")
        if any(not value or value != value.strip() for value in self.values):
            raise ContractError(f"column {self.name}: a category value is empty or has spaces around it")
        if self.match not in TEXT_MATCHES.get(self.kind, (TextMatch.EXACT,)):
            raise ContractError(f"column {self.name}: a {self.kind} cannot be matched as {self.match}")
        self._refuse_ambiguous_values()
        self._check_beside()
        if len({self.name, *self.aliases}) <= len(self.aliases) or any(not each.strip() for each in self.aliases):
            raise ContractError(f"column {self.name}: an alias is empty or listed twice")
        self._check_missing_words()
        self._refuse_unused()

    def _check_beside(self) -> None:
        """What stands beside a column is another one."""
        if self.clock != self.clock.strip() or self.clock == self.name or (self.clock and self.time_format.is_number):
            raise ContractError(f"column {self.name}: its clock is another column, beside a date that is text")
        if self.confirmed != self.confirmed.strip() or self.confirmed == self.name:
            raise ContractError(f"column {self.name}: since when it is known stands in another column")
        self._check_parts()

    def _check_parts(self) -> None:
        if self.zone and (self.zone != self.zone.strip() or self.time_format.is_number):
            raise ContractError(f"column {self.name}: its zone is a name such as Europe/Berlin, of times that are text")
        if self.parts and not 3 <= len(self.parts) <= 6:  # noqa: PLR2004 - a day has three, a second six.
            raise ContractError(f"column {self.name}: its parts are year, month, day, and up to three of the time")
        if self.parts and (self.clock or self.aliases or self.time_format is not TimeFormat.YEAR_FIRST):
            raise ContractError(f"column {self.name}: with parts it is year-first, without a clock and aliases")

    def _check_missing_words(self) -> None:
        if any(not word or word != word.strip() for word in self.missing_words):
            raise ContractError(f"column {self.name}: a missing word is empty or has spaces around it")
        if len({word.lower() for word in self.missing_words}) != len(self.missing_words):
            raise ContractError(f"column {self.name}: a missing word is listed twice")

    def _refuse_ambiguous_values(self) -> None:
        """A cell must have one reading: a value that no cell can become, or that is another one, is a mistake."""
        if self.match is not TextMatch.EXACT and any(value != unquoted(value) for value in self.values):
            raise ContractError(f"column {self.name}: a category value has quotes around it, and no cell has")
        if self.match is TextMatch.NORMAL and len(set(map(normal_form, self.values))) != len(self.values):
            raise ContractError(f"column {self.name}: two category values have one normal form")

    def _refuse_unused(self) -> None:
        """A field that contract.json leaves out would bind training, which has this object, and not serving."""
        used = self.to_json()
        for field in fields(self):
            if field.name not in used and getattr(self, field.name) != field.default:
                raise ContractError(f"column {self.name}: a {self.kind} has no {field.name}")

    def to_json(self) -> dict[str, Any]:
        """The column as JSON holds it: only what its kind uses."""
        column: dict[str, Any] = {"name": self.name, "kind": self.kind, "missing": self.missing}
        if self.kind is Kind.NUMBER:
            # Adding 0.0 writes 0, 0.0 and -0.0 alike: the same bound must have the same fingerprint.
            column |= {"minimum": self.minimum + 0.0, "maximum": self.maximum + 0.0}
        if self.kind is Kind.CATEGORY:
            column["values"] = list(self.values)
        if self.match is not TextMatch.EXACT:
            column["match"] = self.match
        if self.kind is Kind.TIMESTAMP:
            column |= {"time_format": self.time_format} | ({"clock": self.clock} if self.clock else {})
            column |= ({"zone": self.zone} if self.zone else {}) | ({"parts": list(self.parts)} if self.parts else {})
        if self.aliases:
            column["aliases"] = list(self.aliases)
        if self.missing_words and self.kind not in TRAINING_ONLY_KINDS:
            column["missing_words"] = list(self.missing_words)
        if self.kind is Kind.LABEL:
            column |= {"words": words} if (words := self.words.to_json()) else {}
            column |= {"confirmed": self.confirmed, "time_format": self.time_format} if self.confirmed else {}
        return column

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Reads what :meth:`to_json` wrote."""
        return cls(
            name=str(fields["name"]),
            kind=Kind(fields["kind"]),
            missing=Missing(fields["missing"]),
            minimum=float(fields.get("minimum", -FLOAT32_MAX)),
            maximum=float(fields.get("maximum", FLOAT32_MAX)),
            values=tuple(map(str, fields.get("values", ()))),
            time_format=TimeFormat(fields.get("time_format", TimeFormat.ISO)),
            clock=str(fields.get("clock", "")),
            aliases=tuple(map(str, fields.get("aliases", ()))),
            missing_words=tuple(map(str, fields.get("missing_words", ()))),
            match=TextMatch(fields.get("match", TextMatch.EXACT)),
            words=LabelWords.from_json(fields.get("words", {})),
            confirmed=str(fields.get("confirmed", "")),
            zone=str(fields.get("zone", "")),
            parts=tuple(map(str, fields.get("parts", ()))),
        )

    @property
    def is_number(self) -> bool:
        """Whether its cells are numbers, those of a time among them."""
        of_time = self.kind is Kind.TIMESTAMP and self.time_format.is_number
        return of_time or self.kind in {Kind.NUMBER, Kind.WEIGHT}

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of a file that it is read from: its own, and what stands beside it; or its parts."""
        return self.parts or tuple(filter(None, (self.name, self.clock, self.confirmed)))


@dataclass(frozen=True, slots=True)
class Reading:
    """How files and objects of transactions are read; each default is what releases before this one did.

    Attributes:
        decimal: which sign a number's fraction begins with, where a file does not tell: 1.201 has two readings.
        encoding: of a file that is not UTF-8, as Python names it.
        others: whether columns that the contract does not know are refused or ignored.
        json_types: whether JSON may hold a number as text, and an id as a whole number.
    """

    decimal: Decimal = Decimal.UNKNOWN
    encoding: str = ""
    others: Others = Others.REFUSE
    json_types: JsonTypes = JsonTypes.STRICT

    def __post_init__(self) -> None:
        """Refuses an encoding that nothing is written in."""
        if self.encoding not in {"", *ENCODINGS}:
            raise ContractError(f"the encoding must be one of {', '.join(ENCODINGS)}")

    def to_json(self) -> dict[str, Any]:
        """What is not as it is by default."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {each.name: values[each.name] for each in fields(self) if values[each.name] != each.default}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Reads what :meth:`to_json` wrote."""
        return cls(
            Decimal(fields.get("decimal", Decimal.UNKNOWN)),
            str(fields.get("encoding", "")),
            Others(fields.get("others", Others.REFUSE)),
            JsonTypes(fields.get("json_types", JsonTypes.STRICT)),
        )


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the matrix, computed from one column of the file or from one history feature, by its name."""

    name: str
    kind: FeatureKind
    column: str


@dataclass(frozen=True)
class Contract:
    """The columns and features of one model version.

    `columns` is the order that a file is written in; a file that is read may have them in any order.
    `features` is the order of the matrix. The first timestamp column is the time of the transaction.
    `history` is what is computed of earlier transactions; a feature reads it as a column of numbers.
    `reading` is how files and objects are read.
    """

    name: str
    columns: tuple[Column, ...]
    features: tuple[Feature, ...]
    history: tuple[Window, ...] = ()
    reading: Reading = Reading()

    def __post_init__(self) -> None:
        """Refuses a contract whose parts do not fit each other."""
        _check_unique("column", [name for each in self.columns for name in (*{each.name, *each.names}, *each.aliases)])
        _check_unique("feature", [feature.name for feature in self.features])
        for kind in (Kind.ID, Kind.LABEL, Kind.WEIGHT):
            if sum(column.kind is kind for column in self.columns) > 1:
                raise ContractError(f"more than one column is the {kind}")
        if not self.features:
            raise ContractError("no column gives a feature: there is nothing to score by")
        kinds = {column.name: column.kind for column in self.columns}
        self._check_confirmed()
        self._check_history(kinds)
        kinds |= dict.fromkeys((window.name for window in self.history), Kind.NUMBER)
        for feature in self.features:
            if kinds.get(feature.column) is not SOURCE_KIND[feature.kind]:
                raise ContractError(f"feature {feature.name} does not fit its column")

    def _check_confirmed(self) -> None:
        """Since when a label is known is compared with the time of its transaction: both must be of one clock."""
        label, time = self.label, self.time
        if label is None or not label.confirmed:
            return
        if time is None:
            raise ContractError("since when a label is known needs a timestamp column")
        if time.time_format in {TimeFormat.HOURS, TimeFormat.DAYS} and label.time_format.is_dated:
            raise ContractError("since when a label is known is counted as the transactions' time is, and is no date")

    def _check_history(self, kinds: Mapping[str, Kind]) -> None:
        """Each window needs a time and an entity, and its column must be of the kind that it reads."""
        _check_unique("column or history feature", [*kinds, *(window.name for window in self.history)])
        if self.history and self.time is None:
            raise ContractError("history features need a timestamp column")
        for window in self.history:
            if kinds.get(window.entity) is not Kind.ENTITY:
                raise ContractError(f"history feature {window.name}: {window.entity} is no entity column")
            if window.column is not None and kinds.get(window.column) not in readable_kinds(window.aggregate):
                raise ContractError(f"history feature {window.name} does not fit its column")
        _check_single_delay(self.history)

    @property
    def width(self) -> int:
        """Columns of the float32 matrix."""
        return len(self.features)

    @cached_property
    def inputs(self) -> tuple[Column, ...]:
        """The columns that a transaction to be scored must have: all but the label and the weight."""
        return tuple(column for column in self.columns if column.kind not in TRAINING_ONLY_KINDS)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all columns of a file, those of training too."""
        return frozenset(name for column in self.columns for name in column.names)

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """The names of the columns that a file to be scored must have, in their order."""
        return tuple(name for column in self.inputs for name in column.names)

    @cached_property
    def ignoring_others(self) -> "Contract":
        """The same contract for a caller who has what it does not know ignored."""
        return replace(self, reading=replace(self.reading, others=Others.IGNORE))

    @cached_property
    def spellings(self) -> Mapping[str, str]:
        """By each name, alias and normal form of a column, that of training too, the name that is meant."""
        aliases: dict[str, tuple[str, ...]] = dict.fromkeys(self.names, ())
        return spellings(aliases | {column.name: column.aliases for column in self.columns if column.aliases})

    @cached_property
    def time(self) -> Column | None:
        """The time of the transaction."""
        return self.first(Kind.TIMESTAMP)

    @cached_property
    def label(self) -> Column | None:
        """What says which transactions were fraud."""
        return self.first(Kind.LABEL)

    @cached_property
    def confirmed(self) -> Column | None:
        """The column that says since when the label is known, which may be empty; None where there is no time."""
        label, time = self.label, self.time
        named = label is not None and bool(label.confirmed)
        if time is None or (not named and CONFIRMED_COLUMN in self.names):
            return None
        if label is not None and named and label.time_format is not time.time_format:
            form, zone = label.time_format, "" if label.time_format.is_number else time.zone
            return Column(label.confirmed, Kind.TIMESTAMP, Missing.ALLOW, time_format=form, zone=zone)
        name = label.confirmed if label is not None and named else CONFIRMED_COLUMN
        return replace(time, name=name, missing=Missing.ALLOW, clock="", aliases=(), parts=())

    @cached_property
    def weight(self) -> Column | None:
        """How many transactions a row of the training file stands for."""
        return self.first(Kind.WEIGHT)

    def training_columns(self, header: Collection[str]) -> tuple[Column, ...]:
        """The columns as a labelled file with this header has them: the label may be empty.

        What says since when it is known is a column of its own, where the label names it or the header has it.
        """
        columns = [
            replace(each, missing=Missing.ALLOW, confirmed="", time_format=TimeFormat.ISO)
            if each.kind is Kind.LABEL
            else each
            for each in self.columns
        ]
        named = self.label is not None and bool(self.label.confirmed)
        if self.confirmed is not None and (named or self.confirmed.name in header):
            columns.append(self.confirmed)
        return tuple(columns)

    def first(self, kind: Kind) -> Column | None:
        """The first column of a kind, if there is one."""
        return next((column for column in self.columns if column.kind is kind), None)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The canonical contract.json."""
        fields = {
            "format": FORMAT,
            "name": self.name,
            "columns": [column.to_json() for column in self.columns],
            "history": [window.to_json() for window in self.history],
            "features": [asdict(feature) for feature in self.features],
        }
        if reading := self.reading.to_json():
            fields["reading"] = reading
        return (json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> Self:
        """Reads a contract.json.

        Raises:
            ContractError: it is not a contract, not canonical, or needs what this release cannot compute.
        """
        try:
            contract = cls._from_json(json.loads(text))
            canonical = contract.to_bytes()
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ContractError(f"not a contract that this release can obey: {error}") from error
        if canonical != text:
            raise ContractError("not a contract that this release can obey: the text is not canonical")
        return contract

    @classmethod
    def _from_json(cls, fields: Mapping[str, Any]) -> Self:
        if fields["format"] != FORMAT:
            raise ContractError("its format is another one")
        return cls(
            name=str(fields["name"]),
            columns=tuple(Column.from_json(column) for column in fields["columns"]),
            features=tuple(
                Feature(str(feature["name"]), FeatureKind(feature["kind"]), feature["column"])
                for feature in fields["features"]
            ),
            history=tuple(Window.from_json(window) for window in fields["history"]),
            reading=Reading.from_json(fields.get("reading", {})),
        )


def readable_kinds(aggregate: Aggregate) -> frozenset[Kind]:
    """The kinds of column that an aggregate reads."""
    return frozenset({Kind.NUMBER} if aggregate in NUMBER_AGGREGATES else {Kind.CATEGORY, Kind.ENTITY})


def _check_single_delay(history: tuple[Window, ...]) -> None:
    """The state of an entity and bucket size holds frauds for one delay of labels."""
    delays: dict[tuple[str, int], int] = {}
    for window in (window for window in history if window.aggregate is Aggregate.RISK):
        if delays.setdefault((window.entity, window.bucket), window.delay) != window.delay:
            raise ContractError(f"the risks of {window.entity} have more than one delay of labels")


def _check_unique(what: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise ContractError(f"a {what} is named twice")
