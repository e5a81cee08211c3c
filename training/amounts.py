"""Which column holds the amounts: what a missed fraud costs, and what history adds up."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from contract.schema import Contract, Kind
from training.errors import TrainingError

SUBSTRINGS = ("amount", "betrag", "montant", "importe", "bedrag")
"""Names of amount columns, the surest first: these as part of a longer word, WHOLE_WORDS only by themselves."""
WHOLE_WORDS = ("amt", "value", "sum", "price", "total", "paid", "charge", "valor", "kwota", "belopp")
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True, slots=True)
class Amount:
    """Which column is the amount, and why that one; without a column, why none."""

    column: str | None
    why: str


def amount_of(contract: Contract, requested: str | None = None) -> Amount:
    """The number column that holds the amounts: the requested one, else the one that is named like it.

    Raises:
        TrainingError: the requested one is no number column of the contract.
    """
    numbers = [column.name for column in contract.columns if column.kind is Kind.NUMBER]
    if requested:
        if requested not in numbers:
            raise TrainingError(f"The amount cannot be {requested}: the schema has no number column of that name.")
        return Amount(requested, "it was named")
    if requested is not None:
        return Amount(None, "it was said that no column is the amount")
    named = named_as_amount(numbers)
    if not named:
        return Amount(None, "no number column is named like one: name it with --amount")
    if len(named) > 1:
        return Amount(None, f"{', '.join(named)} could all be: name one with --amount")
    return Amount(named[0], "of its name")


def inferred_amount(numbers: Sequence[str], skewed: Sequence[str]) -> Amount:
    """The amount of a file without a schema: by its name, else the only number that is skewed as money is."""
    if named := named_as_amount(numbers):
        return Amount(named[0], "by its name")
    if len(skewed) == 1:
        return Amount(skewed[0], "the only number that is never negative and mostly small")
    return Amount(None, "no number column is named like an amount")


def named_as_amount(numbers: Sequence[str]) -> list[str]:
    """The columns named by the surest word that names any."""
    for word in SUBSTRINGS:
        if result := [name for name in numbers if word in name.lower()]:
            return result
    for word in WHOLE_WORDS:
        if result := [name for name in numbers if word in _words(name)]:
            return result
    return []


def _words(name: str) -> set[str]:
    """tx_amt, TxAmts and TX_AMT all as tx and amt."""
    return {word.lower().removesuffix("s") for word in WORDS.findall(name)}
