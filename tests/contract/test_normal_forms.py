import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.normal_forms import all_unquoted, known_spellings, normal_form, unquoted

ODD = st.text("'\" \t-_aAßİ\u00a0") | st.text()


@pytest.mark.parametrize(
    "text", ["Gift Cards", "'gift_cards'", '"GIFT-CARDS"', " gift  cards ", "gift - cards", "'\"gift_cards\"'"]
)
def test_each_way_of_writing_has_one_form(text: str) -> None:
    """Case, quotes of either kind, and what parts the words do not count."""
    assert normal_form(text) == "gift_cards"


@pytest.mark.parametrize("text", ["o'neill", "'tis", "5'", "'", '"', "'a\""])
def test_a_quote_that_is_no_pair_stays(text: str) -> None:
    """An apostrophe is part of the text."""
    assert unquoted(text) == text


@given(ODD)
def test_a_form_is_its_own(text: str) -> None:
    """What has been read once may be written and read again."""
    assert unquoted(unquoted(text)) == unquoted(text)
    assert normal_form(normal_form(text)) == normal_form(text)
    assert bool(normal_form(text)) == bool(unquoted(text))


@given(st.lists(ODD))
def test_many_texts_are_unquoted_as_each_is(texts: list[str]) -> None:
    """Whether any of them has quotes or none."""
    stripped = [text.strip() for text in texts]
    assert list(all_unquoted(stripped)) == [unquoted(text) for text in stripped]


@given(st.lists(ODD.map(unquoted).filter(bool), unique_by=normal_form, max_size=5), ODD.map(unquoted))
def test_a_text_is_the_known_value_of_its_form(values: list[str], text: str) -> None:
    """Each value is itself; another text is the value of its form, or its form where there is none."""
    known = tuple(values)
    assert known_spellings(known, values) == values
    (spelling,) = known_spellings(known, [text])
    assert normal_form(spelling) == normal_form(text)
    assert spelling in {*values, normal_form(text)}
    assert (spelling in values) == (normal_form(text) in map(normal_form, values))
