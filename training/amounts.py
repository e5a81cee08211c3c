"""Which column holds the amounts: what a missed fraud costs, and what history adds up."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from contract.schema import Contract, Kind
from training.errors import TrainingError

ANYWHERE = ("amount", "betrag", "montant", "importe", "bedrag")
"""What such a column is called, the surest word first: these in whatever longer word, the next ones by themselves."""
ALONE = ("amt", "value", "sum", "price", "total", "paid", "charge", "valor", "kwota", "belopp")
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True, slots=True)
class Amount:
    """Which column is the amount, and why that one; without a column, why none."""

    column: str | None
    why: str


def amount_of(contract: Contract, wished: str | None = None) -> Amount:
    """The number column that holds the amounts: the one that is wished for, else the one that is named like it.

    Raises:
        TrainingError: the one that is wished for is no number column of the contract.
    """
    numbers = [column.name for column in contract.columns if column.kind is Kind.NUMBER]
    if wished:
        if wished not in numbers:
            raise TrainingError(f"The amount cannot be {wished}: the schema has no number column of that name.")
        return Amount(wished, "it was named")
    if wished is not None:
        return Amount(None, "it was said that no column is the amount")
    named = named_like_one(numbers)
    if not named:
        return Amount(None, "no number column is named like one: name it with --amount")
    if len(named) > 1:
        return Amount(None, f"{', '.join(named)} could all be: name one with --amount")
    return Amount(named[0], "of its name")


def inferred_amount(numbers: Sequence[str], skewed: Sequence[str]) -> Amount:
    """The amount of a file without a schema: by its name, else the only number that is skewed as money is."""
    if named := named_like_one(numbers):
        return Amount(named[0], "by its name")
    if len(skewed) == 1:
        return Amount(skewed[0], "the only number that is never negative and mostly small")
    return Amount(None, "no number column is named like an amount")


def named_like_one(numbers: Sequence[str]) -> list[str]:
    """The columns that are called by the surest word by which any is called."""
    for word in ANYWHERE:
        if result := [name for name in numbers if word in name.lower()]:
            return result
    for word in ALONE:
        if result := [name for name in numbers if word in _words(name)]:
            return result
    return []


def _words(name: str) -> set[str]:
    """tx_amt, TxAmts and TX_AMT all as tx and amt."""
    return {word.lower().removesuffix("s") for word in WORDS.findall(name)}
