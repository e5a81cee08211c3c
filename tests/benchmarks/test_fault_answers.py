"""The checker of answers under faults: it accepts what is what it says it is, and nothing else."""

from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks.fault_answers import ExpectedScores, contradictions, faults
from benchmarks.load import NO_ANSWER, LoadResponse
from benchmarks.switches import Request

TRUTH = ExpectedScores(7, [0.1, 0.6], review=0.5, decline=0.9)


def answer(status: int = 200, identity: str = "load-a-1", **changes: object) -> LoadResponse:
    """An answer that is right, but for the changes to its body."""
    body: dict[str, Any] = {"model_version": 7, "predictions": [prediction(1, 0.1), prediction(2, 0.6)], **changes}
    return LoadResponse(identity, 0.0, 0.0, 1.0, status, body if status == 200 else {})


def prediction(row: int, probability: float, decision: str | None = None) -> Mapping[str, Any]:
    """One row of an answer."""
    return {"row": row, "fraud_probability": probability, "decision": decision or TRUTH.decision(probability)}


NEUTRAL = [prediction(1, 0.95), prediction(2, 0.2)]


@pytest.mark.parametrize(
    "good",
    [
        answer(),
        answer(predictions=NEUTRAL, degraded=["history"]),
        answer(503),
        answer(504),
        answer(507),
        answer(NO_ANSWER),
    ],
)
def test_right_degraded_and_refused_answers_are_honest(good: LoadResponse) -> None:
    """What is right, what says that it lacks the history, and what refuses for our own sake are all honest."""
    assert faults([good], TRUTH) == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (answer(predictions=NEUTRAL), "is not degraded"),
        (answer(model_version=6), "version 6 answered"),
        (answer(predictions=[prediction(1, 0.1)]), "1 predictions for 2"),
        (answer(predictions=[prediction(1, 0.95, "approve"), NEUTRAL[1]], degraded=["history"]), "another probability"),
        (answer(predictions=NEUTRAL, degraded=["cache"]), "is not degraded"),
        (answer(500), "status 500"),
        (answer(422), "status 422"),
    ],
    ids=["lost history", "other version", "lost row", "other decision", "other degradation", "defect", "blame"],
)
def test_an_answer_that_is_not_what_it_says_is_found(bad: LoadResponse, why: str) -> None:
    """Each kind of answer that deceives its caller is told, and only that one."""
    found = faults([answer(), bad, answer()], TRUTH)
    assert len(found) == 1
    assert why in found[0]


def test_a_log_that_tells_otherwise_is_found() -> None:
    """Status and version of a log line must be the caller's; of a caller who was hung up on nothing is known."""
    answers = [answer(), answer(identity="load-a-2"), answer(NO_ANSWER, identity="load-a-3")]
    right, other = Request(0, 1, 7), Request(0, 1, 8)
    assert contradictions(answers, [("load-a-1", 200, right), ("load-a-3", 200, right), ("stranger", 500, None)]) == []
    found = contradictions(answers, [("load-a-1", 200, other), ("load-a-2", 503, None)])
    assert [text.partition(":")[0] for text in found] == ["load-a-1", "load-a-2"]
