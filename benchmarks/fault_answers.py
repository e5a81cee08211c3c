"""Whether each answer of a run with faults is correct: read from the callers' notes and the gateway's log.

The load sends the same transactions all the time, with `record=false`, so that they change nothing: with the whole
history each version gives them the same probabilities at any time. What may be answered is then:

1. 200 without `degraded`: the version that the release record named, and exactly its probabilities with the history;
2. 200 with `degraded`: that version, and for each transaction a probability and the decision that its thresholds make;
3. 503, 504 or 507 as problem+json, or a connection that ended (a gateway that was killed).

The log must tell the same of each request that it has: status and version.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.load import NO_ANSWER, OK, LoadResponse
from benchmarks.switches import Request

ALLOWED_STATUSES = frozenset({NO_ANSWER, 503, 504, 507})
"""Statuses of failures of the service itself."""
TOLERANCE = 1e-6
"""Below this, probabilities are the same: vector units differ in the last bits from one batch to another."""


@dataclass(frozen=True, slots=True)
class ExpectedScores:
    """One version's thresholds, and the probability of each of the load's transactions with its whole history."""

    version: int
    probabilities: Sequence[float]
    review: float
    decline: float

    def decision(self, probability: float) -> str:
        """The decision that this version's thresholds make of a probability."""
        if probability >= self.decline:
            return "decline"
        return "review" if probability >= self.review else "approve"


def faults(answers: Iterable[LoadResponse], truth: ExpectedScores) -> list[str]:
    """A message for each incorrect answer."""
    return [f"{answer.identity}: {fault}" for answer in answers if (fault := _fault(answer, truth))]


def contradictions(answers: Iterable[LoadResponse], logged: Iterable[tuple[str, int, Request | None]]) -> list[str]:
    """A message for each log line that differs from what the caller saw; callers without an answer are skipped.

    Args:
        answers: as the callers had them.
        logged: id, status and, where a version is named, the request: see `benchmarks.switches.logged`.
    """
    result, by_identity = list[str](), {answer.identity: answer for answer in answers if answer.status != NO_ANSWER}
    for identity, status, request in logged:
        if answer := by_identity.get(identity):
            entry = (status, request.version if request else None)
            if entry != (answer.status, answer.version):
                result.append(f"{identity}: the log has {entry}, the caller {(answer.status, answer.version)}")
    return result


def _fault(answer: LoadResponse, truth: ExpectedScores) -> str:
    if answer.status != OK:
        return "" if answer.status in ALLOWED_STATUSES else f"status {answer.status}"
    if answer.version != truth.version:
        return f"version {answer.version} answered, version {truth.version} was live"
    return _mismatch(answer.body, truth)


def _mismatch(body: Mapping[str, Any], truth: ExpectedScores) -> str:
    predictions = body.get("predictions", [])
    if len(predictions) != len(truth.probabilities):
        return f"{len(predictions)} predictions for {len(truth.probabilities)} transactions"
    for prediction, right in zip(predictions, truth.probabilities, strict=True):
        probability = prediction["fraud_probability"]
        if not degraded(body) and not math.isclose(probability, right, rel_tol=0, abs_tol=TOLERANCE):
            return f"row {prediction['row']} is not degraded, and has {probability} instead of {right}"
        if prediction["decision"] != truth.decision(probability):
            return f"row {prediction['row']} has the decision of another probability"
    return ""


def degraded(body: Mapping[str, Any]) -> bool:
    """Whether an answer says that it was made without the whole history."""
    return "history" in body.get("degraded", ())
