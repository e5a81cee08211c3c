import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.labels import FRAUD, GENUINE, NOT_A_LABEL, UNLABELLED, USUAL_WORDS, LabelWords, usual_meaning

STATUSES = LabelWords.of(["Chargeback", "Disputed", "2"], ["paid"], ["pending"])


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("chargeback", FRAUD), (" DISPUTED ", FRAUD), ("2", FRAUD), ("2.0", FRAUD), ("2,00", FRAUD), ("Paid", GENUINE),
        ("PENDING", UNLABELLED), ("", UNLABELLED), ("  ", UNLABELLED), ("1", NOT_A_LABEL), ("2.5", NOT_A_LABEL),
        ("charge back", NOT_A_LABEL), ("'2'", FRAUD), ('"Paid"', GENUINE),
    ],
)  # fmt: skip
def test_words_mean_what_their_lists_say(text: str, meaning: int) -> None:
    """Without regard to case, outer spaces and the zeros of a whole number; other words mean nothing."""
    assert STATUSES.meaning(text) == meaning
    assert STATUSES.meanings([text, ""]).tolist() == [meaning, UNLABELLED]


@given(st.lists(st.sampled_from(["1", "true", "TRUE", "1.0", "0", "False", "0.00", "", "2", "yes"])))
def test_usual_words_are_1_and_true_0_and_false(texts: list[str]) -> None:
    """What a label is without any list."""
    expected = {"1": FRAUD, "t": FRAUD, "0": GENUINE, "f": GENUINE, "": UNLABELLED}
    assert USUAL_WORDS.meanings(texts).tolist() == [expected.get(text[:1].lower(), NOT_A_LABEL) for text in texts]


@pytest.mark.parametrize(
    ("lists", "reason"),
    [
        ((["yes"], []), "both fraud and genuine"), (([], ["no"]), "both fraud and genuine"),
        ((["Yes"], ["yes "]), "in two of the lists"), ((["yes"], ["no"], ["NO"]), "in two of the lists"),
        (([""], ["no"]), "is empty"), ((["yes"], ["no"], [" "]), "is empty"),
    ],
)  # fmt: skip
def test_lists_that_do_not_tell_are_refused(lists: tuple[list[str], ...], reason: str) -> None:
    """A side without a word, and a word on two sides."""
    with pytest.raises(ValueError, match=reason):
        LabelWords.of(*lists)


def test_an_empty_cell_is_genuine_where_the_words_say_so() -> None:
    """Of an export of payments with their disputes: most have none. No other list may hold it."""
    words = LabelWords.of(["fraudulent"], ["", "duplicate"])
    assert words.meanings(["", " ", "duplicate", "fraudulent"]).tolist() == [GENUINE, GENUINE, GENUINE, FRAUD]
    assert LabelWords.from_json(words.to_json()) == words


def test_a_word_twice_on_one_side_is_one() -> None:
    """In whatever case it is written."""
    assert LabelWords.of(["Yes", "YES"], ["no"]) == LabelWords.of(["yes"], ["No"])


def test_words_are_written_and_read_back() -> None:
    """The usual ones leave no trace, so that contracts of earlier releases keep their bytes."""
    assert USUAL_WORDS.to_json() == {}
    assert LabelWords.from_json(STATUSES.to_json()) == STATUSES
    assert LabelWords.from_json({}) == USUAL_WORDS
    assert str(STATUSES) == 'fraud = ["chargeback", "disputed", "2"], genuine = ["paid"], unknown = ["pending"]'


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Yes", FRAUD), ("n", GENUINE), ("ja", FRAUD), ("Nein", GENUINE), ("SÍ", FRAUD), ("oui", FRAUD), ("1", FRAUD),
        ("fraud", FRAUD), ("Charged_Back", FRAUD), ("legit", GENUINE), ("NOT-FRAUD", GENUINE), ("False", GENUINE),
        ("maybe", NOT_A_LABEL), ("", NOT_A_LABEL), ("2", NOT_A_LABEL), ("o", NOT_A_LABEL),
    ],
)  # fmt: skip
def test_common_words_are_known(text: str, meaning: int) -> None:
    """Those that have one reading, in several languages."""
    assert usual_meaning(text) == meaning


def test_an_answer_means_nothing_where_nothing_was_asked() -> None:
    """Whether Yes is fraud depends on the question; chargeback says it by itself."""
    assert usual_meaning("yes", answers=False) == NOT_A_LABEL
    assert usual_meaning("chargeback", answers=False) == FRAUD
