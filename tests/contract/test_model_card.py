import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.decision import DecisionBands
from contract.model_card import ModelCard
from tests.contract.examples import JSON_VALUES

LATER = ("history", "decisions", "evaluation")
"""The fields that older cards do not have."""
CARD = ModelCard(
    version=3,
    created="2026-01-01T00:00:00+00:00",
    bands=DecisionBands(0.25, 0.75),
    metrics={"test": {"auc": 0.9}},
    data={"sha256": "00", "rows": 5},
    settings={"seed": 1},
    libraries={"torch": "2.13.0"},
    half_precision_difference=0.001,
    notes=("few frauds",),
    history={"gain": 0.25},
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.dictionaries(st.text(), st.dictionaries(st.text(), FINITE), max_size=3),
    st.lists(st.text()).map(tuple),
    st.dictionaries(st.text(), st.text(), max_size=3),
)
def test_a_card_survives_json(
    metrics: dict[str, dict[str, float]], notes: tuple[str, ...], data: dict[str, str]
) -> None:
    """What to_json gives, from_json reads back equal, through JSON text too."""
    card = replace(CARD, metrics=metrics, notes=notes, data=data)
    assert ModelCard.from_json(card.to_json()) == card
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card


def test_the_bytes_are_the_card_s_json() -> None:
    """The card.json of an archive holds the card, readable, one line a field."""
    assert ModelCard.from_json(json.loads(CARD.to_bytes())) == CARD
    assert b'\n "version": 3,' in CARD.to_bytes()


def test_a_metric_that_is_no_number_is_not_written() -> None:
    """NaN is not JSON: a card that holds one is not written."""
    with pytest.raises(ValueError, match="JSON"):
        replace(CARD, metrics={"test": {"auc": float("nan")}}).to_bytes()


@pytest.mark.parametrize("field", LATER)
def test_an_older_card_is_read(field: str) -> None:
    """An archive that an earlier release packed says nothing of what came later: it has none."""
    fields = {name: value for name, value in CARD.to_json().items() if name != field}
    assert ModelCard.from_json(fields) == replace(CARD, **{field: {}})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", sorted(CARD.to_json().keys() - set(LATER)))
def test_a_card_without_a_field_is_refused(field: str) -> None:
    """Every other field must be there."""
    fields = {name: value for name, value in CARD.to_json().items() if name != field}
    with pytest.raises((KeyError, TypeError)):
        ModelCard.from_json(fields)


@pytest.mark.parametrize("change", [{"bands": {"review": 0.9, "decline": 0.1}}, {"bands": {}}])
def test_a_card_with_other_fields_is_refused(change: dict[str, Any]) -> None:
    """Thresholds that do not hold are refused."""
    with pytest.raises((TypeError, ValueError)):
        ModelCard.from_json(CARD.to_json() | change)


def test_what_a_newer_release_added_is_left_out() -> None:
    """A card with a field that this release does not know is read without it."""
    assert ModelCard.from_json(CARD.to_json() | {"more": 1}) == CARD


@given(JSON_VALUES)
def test_bands_of_another_shape_are_refused(bands: object) -> None:
    """Whatever stands for the thresholds is read or refused as a TypeError or ValueError."""
    with pytest.raises((TypeError, ValueError)):
        ModelCard.from_json(CARD.to_json() | {"bands": bands})
