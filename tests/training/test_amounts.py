"""Which column holds the amounts."""

import pytest

from contract.schema import Column, Contract, Feature, FeatureKind, Kind
from training.amounts import amount_of, inferred_amount
from training.errors import TrainingError


def contract(*names: str) -> Contract:
    """Number columns of these names."""
    columns = tuple(Column(name, Kind.NUMBER) for name in names)
    return Contract("small", (*columns, Column("fraud", Kind.LABEL)), (Feature("x", FeatureKind.NUMBER, names[0]),))


@pytest.mark.parametrize(
    ("names", "column"),
    [
        (("V1", "Amount"), "Amount"),
        (("TX_AMOUNT", "total_visits"), "TX_AMOUNT"),
        (("txAmt",), "txAmt"),
        (("kilograms", "value"), "value"),
        (("amount_eur", "amount_usd"), None),
        (("summary", "evaluated"), None),
        (("age",), None),
        (("Betrag", "visits"), "Betrag"),
        (("transactionamount", "value"), "transactionamount"),
        (("TotalValues",), "TotalValues"),
    ],
)
def test_the_amount_is_inferred_by_its_name(names: tuple[str, ...], column: str | None) -> None:
    """The surest word first, in whatever spelling; two that could be are none, and it says why."""
    found = amount_of(contract(*names))
    assert found.column == column
    assert found.why


def test_the_amount_may_be_named_or_denied() -> None:
    """A named column is taken, an empty name is none, and one that is no number is refused."""
    assert amount_of(contract("age", "amount"), "age").column == "age"
    assert amount_of(contract("amount"), "").column is None
    with pytest.raises(TrainingError, match="fraud"):
        amount_of(contract("amount"), "fraud")


def test_a_file_that_nobody_has_described_has_the_amount_that_its_names_or_numbers_tell() -> None:
    """By a name, else the only skewed number; of several nobody knows which."""
    assert inferred_amount(["kwota", "visits"], ["visits"]).column == "kwota"
    assert inferred_amount(["x", "visits"], ["x"]).column == "x"
    assert inferred_amount(["x", "visits"], ["x", "visits"]).column is None
    assert inferred_amount([], []).column is None
