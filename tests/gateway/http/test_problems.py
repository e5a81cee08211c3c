"""Errors as RFC 9457 problem+json."""

import json

import pytest

from contract.faults import Fault, FaultCode
from gateway.http import problems
from gateway.http.problems import LISTED_FAULTS, NotScorable, Problem, problem_response


def every_problem() -> list[type[Problem]]:
    """All concrete problems but the router's, which takes its status."""
    kinds = [kind for kind in vars(problems).values() if isinstance(kind, type) and issubclass(kind, Problem)]
    return [kind for kind in kinds if kind is not problems.Refused]


@pytest.mark.parametrize("kind", every_problem())
def test_body_states_the_status(kind: type[Problem]) -> None:
    """The body repeats the status and names the class as its type."""
    response = problem_response(kind())
    body = json.loads(bytes(response.body))
    assert body["status"] == response.status_code
    assert body["type"] == f"urn:fraud-detection:{kind().code}"
    assert response.media_type == "application/problem+json"


def test_lists_the_first_faults_and_counts_all() -> None:
    """A file of faults is answered with the first 20 and the total."""
    faults = [Fault(row, "amount", FaultCode.MISSING) for row in range(1, 101)]
    body = NotScorable("", faults).to_json()
    assert [fault["row"] for fault in body["errors"]] == list(range(1, LISTED_FAULTS + 1))
    assert body["error_count"] == 100


@pytest.mark.parametrize("kind", [problems.ModelServerDown, problems.DeadlineExceeded, problems.DiskFull])
def test_ours_say_when_to_retry(kind: type[Problem]) -> None:
    """A failure that is ours and passes says when to try again."""
    assert int(problem_response(kind()).headers["retry-after"]) > 0
