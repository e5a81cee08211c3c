"""What to say of a fault besides its code: what was expected, and which setting decides. It repeats no cell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from contract.cells import MAX_TEXT_LENGTH
from contract.dates import format_time
from contract.faults import Fault, FaultCode
from contract.schema import Column, Contract

EXAMPLE_SECONDS = 1_769_882_700.0
"""2026-01-31 18:05 UTC: its day cannot be a month."""


def with_hints(contract: Contract, faults: Sequence[Fault], first: int) -> Sequence[Fault]:
    """The faults, the `first` of them with hints where their code has one; those that have a hint keep it."""
    columns = {name: column for column in contract.columns for name in {column.name, *column.names}}
    hinted = [
        each if each.hint else replace(each, hint=hint_of(columns.get(each.column or ""), each.code, each.seen))
        for each in faults[:first]
    ]
    return [*hinted, *faults[first:]]


def hint_of(column: Column | None, code: FaultCode, seen: str = "") -> str:
    """The hint of a fault in a column, given the form of what was seen; "" where its code says all."""
    make = HINTS.get(code)
    hint = make(column) if make is not None and column is not None else GENERAL_HINTS.get(code, "")
    return f"{hint}; this looks like {seen}" if hint and seen else hint


def _form(column: Column) -> str:
    form = column.time_format
    if column.parts:
        return "expected year, month and day, and a time of the day such as 18:05; parts in the schema decides"
    example = "" if not form.is_dated else f", as {format_time(form, EXAMPLE_SECONDS)}"
    zone = f", which the clocks of {column.zone} show" if column.zone else ""
    return f"expected a time in the form {form}{example}{zone}; time_format in the schema decides"


HINTS: Mapping[FaultCode, Callable[[Column], str]] = {
    FaultCode.OUT_OF_BOUNDS: lambda column: (
        f"expected {column.minimum:.15g} to {column.maximum:.15g}; minimum and maximum in the schema decide"
    ),
    FaultCode.NOT_A_DATE: _form,
    FaultCode.MISSING: lambda _: 'an empty cell needs missing = "allow" in the schema',
}
GENERAL_HINTS: Mapping[FaultCode, str] = {
    FaultCode.IN_FUTURE: "a label is known by now; is a clock wrong, or a date read in another form?",
    FaultCode.BEFORE_TRANSACTION: "a label is known only after its transaction; is it another moment, or another id?",
    FaultCode.NOT_A_NUMBER: "expected a number such as 1201.5 or, in a file, 1,201.50 or 1.201,50; missing_words in "
    "the schema names words that mean a missing one",
    FaultCode.AMBIGUOUS_NUMBER: "a point or comma before three digits may begin a fraction or part thousands, and the "
    "file does not tell: [reading] decimal in the schema decides",
    FaultCode.MIXED_CURRENCIES: "one column has amounts in several currencies: turn them into one",
    FaultCode.NOT_TEXT: 'expected text; [reading] json_types = "lenient" in the schema takes whole numbers too',
    FaultCode.TOO_LONG: f"expected at most {MAX_TEXT_LENGTH} characters",
    FaultCode.FIELD_COUNT: "not as many fields as the header has: a field with a separator in it needs quotes",
}
