import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.description import Description, DescriptionError
from contract.golden import TOLERANCE, GoldenRows
from tests.contract.examples import CONTRACT, GOOD, JSON_VALUES, csv_bytes
from tests.contract.test_model_card import CARD

DESCRIPTION = Description(CONTRACT, CARD, GoldenRows(csv_bytes([GOOD, GOOD]).decode(), (0.25, 0.5)), "cpu", False)


def document() -> dict[str, Any]:
    """The description as parsed JSON, to be damaged."""
    fields: dict[str, Any] = json.loads(DESCRIPTION.to_bytes())
    return fields


@given(st.booleans(), st.text(), st.lists(st.floats(0, 1)).map(tuple))
def test_a_description_survives_its_own_bytes(half: bool, device: str, probabilities: tuple[float, ...]) -> None:
    """What to_bytes writes, from_bytes reads back equal, with the contract's fingerprint."""
    golden = GoldenRows(DESCRIPTION.golden.csv, probabilities)
    description = replace(DESCRIPTION, half_precision=half, device=device, golden=golden)
    again = Description.from_bytes(description.to_bytes())
    assert again == description
    assert again.contract.fingerprint == CONTRACT.fingerprint


def test_the_version_is_that_of_the_card() -> None:
    """A description names the version that its card names."""
    assert DESCRIPTION.version == CARD.version


@given(st.binary() | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_other_bytes_are_a_description_error(data: bytes) -> None:
    """Bytes and JSON that are no description are a DescriptionError, never another exception."""
    with pytest.raises(DescriptionError):
        Description.from_bytes(data)


@given(st.sampled_from(sorted(document())), JSON_VALUES)
def test_a_damaged_field_is_a_description_error(field: str, value: object) -> None:
    """Whatever replaces a field, the bytes are read as a description or refused with a DescriptionError."""
    try:
        description = Description.from_bytes(json.dumps(document() | {field: value}).encode())
    except DescriptionError:
        return
    assert field in {"device", "half_precision"}
    assert description.contract == CONTRACT


@pytest.mark.parametrize("field", sorted(document()))
def test_a_field_that_is_absent_is_a_description_error(field: str) -> None:
    """Every field must be there."""
    fields = {name: value for name, value in document().items() if name != field}
    with pytest.raises(DescriptionError):
        Description.from_bytes(json.dumps(fields).encode())


@pytest.mark.parametrize("part", ["contract", "card", "golden"])
def test_json_that_python_stumbles_over_is_a_description_error(part: str) -> None:
    """Nesting and numbers at the edge of what Python reads are a DescriptionError like the rest."""
    deep = DESCRIPTION.to_bytes().replace(f'"{part}": '.encode(), f'"{part}": {"[" * 100_000}'.encode())
    huge = DESCRIPTION.to_bytes().replace(b"0.25, 0.5", b"1" + b"0" * 400)
    for data in (deep, huge):
        with pytest.raises(DescriptionError):
            Description.from_bytes(data)


def test_a_contract_of_another_format_is_a_description_error() -> None:
    """A description whose contract this release cannot obey is refused whole."""
    contract = CONTRACT.to_bytes().decode().replace('"format": 1', '"format": 2')
    with pytest.raises(DescriptionError):
        Description.from_bytes(json.dumps(document() | {"contract": contract}).encode())


@pytest.mark.parametrize(
    ("half", "error", "proven"),
    [
        (False, 0.0, True),
        (False, TOLERANCE / 2, True),
        (False, TOLERANCE * 2, False),
        (True, CARD.half_precision_difference * 2, True),
        (True, CARD.half_precision_difference * 3, False),
        (True, float("nan"), False),
    ],
)
def test_the_proof_is_as_exact_as_the_precision(half: bool, error: float, proven: bool) -> None:
    """Golden answers must be within the tolerance, in half precision within twice the difference on the card."""
    answers = np.array([0.25, 0.5 + error], dtype=np.float32)
    assert replace(DESCRIPTION, half_precision=half).proven_by(answers) is proven


def test_too_few_answers_prove_nothing() -> None:
    """A version that answers only some golden rows is not proven."""
    assert not DESCRIPTION.proven_by(np.array([0.25], dtype=np.float32))
