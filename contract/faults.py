"""What can be wrong with a cell, a row or a header: where and how, never its content."""

from dataclasses import dataclass, field
from enum import StrEnum


class FaultCode(StrEnum):
    """The machine-readable name of a fault."""

    MISSING = "missing"
    NOT_A_NUMBER = "not_a_number"
    AMBIGUOUS_NUMBER = "ambiguous_number"
    MIXED_CURRENCIES = "mixed_currencies"
    NOT_FINITE = "not_finite"
    OUT_OF_BOUNDS = "out_of_bounds"
    NOT_A_DATE = "not_a_date"
    NOT_TEXT = "not_text"
    TOO_LONG = "too_long"
    FIELD_COUNT = "field_count"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_COLUMN = "missing_column"
    UNKNOWN_COLUMN = "unknown_column"
    DUPLICATE_COLUMN = "duplicate_column"
    TOO_MANY_COLUMNS = "too_many_columns"
    NOT_AN_OPTION = "not_an_option"
    IN_FUTURE = "in_future"
    BEFORE_TRANSACTION = "before_transaction"


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong with an input.

    Attributes:
        row: number of the data row, from 1; None where the header or the whole input is at fault.
        column: the contract's name of the column, or the position of one it does not know; None for a whole row.
        hint: what was expected, what was seen in its place, and which setting decides; it repeats no cell.
        seen: the form of what was seen, where that is told.
    """

    row: int | None
    column: str | None
    code: FaultCode
    hint: str = field(default="", compare=False)
    seen: str = field(default="", compare=False)

    def to_json(self) -> dict[str, str | int | None]:
        """The fault as an answer has it; without a hint there is no such member."""
        own = {"row": self.row, "column": self.column, "code": self.code}
        return own | {"hint": self.hint} if self.hint else own


class CellFault(ValueError):
    """A cell that cannot be converted; its only argument is the FaultCode: the cell's value is never repeated."""


class InputError(ValueError):
    """An input that cannot be parsed as transactions at all; the caller's fault.

    Attributes:
        faults: those of its header, none where that is not readable; of an input with too many, those found so far.
    """

    def __init__(self, reason: str, faults: list[Fault] | None = None) -> None:
        """States the reason in words that repeat nothing of the input."""
        super().__init__(reason)
        self.faults = faults or []


class NotTextError(InputError):
    """The bytes are not UTF-8 text."""
