"""JSON answers: the same bytes, whether rows are written one by one or column by column."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st

from contract.faults import Fault, FaultCode
from gateway.api import replies
from gateway.models.score_result import ScoreResult
from tests.contract.examples import CONTRACT
from tests.gateway.api.scored import scored

IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PROBABILITIES = st.floats(0, 1, width=32)
SOME = st.integers(1, 30).flatmap(
    lambda rows: st.tuples(
        st.lists(IDS, min_size=rows, max_size=rows) | st.just([None] * rows),
        st.lists(PROBABILITIES, min_size=rows, max_size=rows),
        st.integers(1, 40),
    )
)


def result_of(ids: list[str | None], probabilities: list[float], step: int) -> ScoreResult:
    """A result of these rows."""
    return scored(CONTRACT, ids, np.array(probabilities, dtype=np.float32), step)


@given(SOME, st.integers(1, 12))
def test_rows_and_columns_give_the_same_bytes(rows: tuple[list[str | None], list[float], int], block: int) -> None:
    """Large answers are put together from columns, in blocks, and no byte of them is another one."""
    result = result_of(*rows)
    with patch.object(replies, "OBJECT_ROWS", 0), patch.object(replies, "BLOCK_ROWS", block):
        by_columns = replies.as_json(result)
    assert by_columns == replies.as_json(result)


@given(SOME)
def test_an_answer_is_json_that_holds_the_result(rows: tuple[list[str | None], list[float], int]) -> None:
    """What is read back is what was scored."""
    ids, probabilities, _ = rows
    answer = orjson.loads(replies.as_json(result_of(*rows)))
    assert [each["id"] for each in answer["predictions"]] == ids
    assert [np.float32(each["fraud_probability"]) for each in answer["predictions"]] == probabilities
    assert [each["row"] for each in answer["predictions"]] == list(range(1, len(ids) + 1))
    assert answer["flagged"] == sum(each["decision"] != "approve" for each in answer["predictions"])
    assert answer.keys() == {"model_version", "rows", "flagged", "notes", "predictions"}


def test_what_was_left_out_stands_behind_the_rows() -> None:
    """Faults, the number of skipped rows, and what could not help."""
    result = result_of(["a"], [0.5], 2)
    result = replace(result, rows=2, faults=(Fault(2, "amount", FaultCode.MISSING),), degraded=("history",))
    answer = orjson.loads(replies.as_json(result))
    (fault,) = answer["errors"]
    assert fault == {"row": 2, "column": "amount", "code": "missing", "hint": fault["hint"]}
    assert (answer["skipped"], answer["degraded"], len(answer["predictions"])) == (1, ["history"], 1)


def test_an_answer_without_a_row_is_json() -> None:
    """As when every row was skipped."""
    assert orjson.loads(replies.as_json(result_of([], [], 1)))["predictions"] == []
