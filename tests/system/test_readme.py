"""What the README shows of a first answer is what a first start answers."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import EXAMPLE, Stack

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

README = Path(__file__).parents[2] / "README.md"
COMMAND = r'curl -X POST -H "X-API-Key: test-key" -F "file=@examples/transactions.csv" http://localhost:8000/upload'
OTHERWISE = 5
"""By so many transactions, of 500, another processor's arithmetic or another seed may flag more or less than the README
says. Without the past it is 13 more."""


def shown() -> dict[str, Any]:
    """The answer in the README, of which the end is left out."""
    found = re.search(rf"```bash\n{re.escape(COMMAND)}\n```\n\n```text\n(.+), \.\.\.\n```", README.read_text())
    assert found
    fields: dict[str, Any] = json.loads(f"{found[1]}]}}")
    return fields


def test_the_first_answer_is_the_one_in_the_readme(stack: Stack) -> None:
    """Asked as soon as the gateway is ready: with the whole past, and of the model that is trained on it."""
    readme, first = shown(), stack.first
    assert "degraded" not in first
    assert (first["model_version"], first["rows"]) == (readme["model_version"], readme["rows"])
    assert abs(first["flagged"] - readme["flagged"]) <= OTHERWISE
    (prediction,) = readme["predictions"]
    first_prediction = first["predictions"][0]
    assert first_prediction.keys() == prediction.keys()
    assert {**first_prediction, "fraud_probability": 0} == {**prediction, "fraud_probability": 0}


def test_the_first_answer_is_as_good_as_later_ones(stack: Stack) -> None:
    """The same rows under other ids, that leave no trace, are flagged alike; they see the file itself too."""
    again = stack.upload(EXAMPLE.read_bytes().replace(b"\nT0", b"\nagain-T0"), "?record=false").json()
    assert "degraded" not in again
    assert abs(again["flagged"] - stack.first["flagged"]) <= OTHERWISE
