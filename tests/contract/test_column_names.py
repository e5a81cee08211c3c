"""Columns are found by other spellings of their names, where one name alone can be meant."""

import pytest

from contract.column_names import hint_of_unknown, is_unnamed, matched, spellings

KNOWN = {"customer_id": (), "amount": ("Betrag",), "timestamp": ()}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("customer_id", "customer_id"),
        ("Customer ID", "customer_id"),
        ("customerId", "customer_id"),
        ("CUSTOMER-ID", "customer_id"),
        ("'amount'", "amount"),
        ("betrag", "amount"),
        ("Betrag", "amount"),
        ("amounts", "amounts"),
        ("", ""),
    ],
)
def test_a_name_is_matched_without_regard_to_its_spelling(name: str, meant: str) -> None:
    """Case, quotes, and what stands between words; an alias as well."""
    assert matched([name], spellings(KNOWN)) == [meant]


def test_a_spelling_that_two_names_share_means_none() -> None:
    """Unless it is one of them."""
    meant = spellings({"card_id": (), "cardid": ()})
    assert matched(["Card ID", "card_id", "cardid"], meant) == ["Card ID", "card_id", "cardid"]


def test_more_names_than_a_table_has_are_left_as_they_are() -> None:
    """A body of commas is refused by their number, and not looked into."""
    names = ["Customer ID"] * 2_001
    assert matched(names, spellings(KNOWN)) == names
    assert matched(names[:2_000], spellings(KNOWN)) == ["customer_id"] * 2_000


def test_a_name_as_it_is_goes_before_another_spelling() -> None:
    """`Amount` beside `amount` is another column."""
    assert matched(["Amount", "amount"], spellings(KNOWN)) == ["Amount", "amount"]


@pytest.mark.parametrize(("name", "unnamed"), [("", True), ("Unnamed: 0", True), ("Unnamed", False), ("x", False)])
def test_what_pandas_writes_for_no_name_is_none(name: str, unnamed: bool) -> None:
    """An index column is called so once a file was read and written again."""
    assert is_unnamed(name) is unnamed


@pytest.mark.parametrize(
    "name",
    [
        "4111111111111111",
        "4111 1111",
        "c@example.org",
        "x" * 70,
        "12.5",
        "a41111b",
        "-1",
        "zq62f4c",
        "a1 222 333",
        "9x",
    ],
)
def test_what_could_be_a_value_is_not_repeated(name: str) -> None:
    """Long numbers, addresses, and what begins with no letter."""
    assert name not in hint_of_unknown(name, KNOWN, in_header=True)


@pytest.mark.parametrize(
    "name", ["V28", "id_31", "card1", "Seller Message", "Kommentar", "de4_amount", "metadata.order"]
)
def test_what_is_plainly_a_name_is_repeated(name: str) -> None:
    """As data sets and exports have them."""
    assert f"named {name}" in hint_of_unknown(name, KNOWN, in_header=True)


def test_an_unknown_name_is_told_with_what_it_may_be_meant_for() -> None:
    """And with the option; of a line without any known name nothing is repeated, for it may be no header."""
    hint = hint_of_unknown("ammount", KNOWN, in_header=True)
    assert hint.startswith("named ammount, perhaps meant for amount")
    assert "columns=ignore" in hint
    assert "Smith" not in hint_of_unknown("Smith", KNOWN, in_header=False)
