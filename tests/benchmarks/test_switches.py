"""The checker of request logs: it accepts what one switch a release explains, and nothing else."""

import itertools
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.switches import Request, Switch, logged, violations

THERE_AND_BACK = [Switch(2, 10, 11), Switch(1, 20, 21)]
"""Version 1 is live until a moment from 10 to 11, and again from one between 20 and 21."""
GOOD = [
    Request(1, 2, 1),
    Request(10.1, 10.4, 1),
    Request(10.3, 10.5, 2),
    Request(15, 16, 2),
    Request(20.5, 20.6, 2),
    Request(20.7, 20.8, 1),
    Request(30, 31, 1),
]


def test_a_log_of_one_switch_a_release_is_proven() -> None:
    """Requests that overlap a switch may be scored by either version."""
    assert violations(1, THERE_AND_BACK, GOOD) == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (Request(15, 16, 3), "neither the old one nor the new"),
        (Request(15, 16, 1), "neither the old one nor the new"),
        (Request(2, 3, 2), "neither the old one nor the new"),
        (Request(30, 31, 2), "neither the old one nor the new"),
        (Request(10.55, 10.6, 1), "after release 1 had scored"),
        (Request(20.85, 20.9, 2), "after release 2 had scored"),
    ],
    ids=["stranger", "old too late", "new too early", "undone", "back in a switch", "back in a rollback"],
)
def test_one_bad_request_is_found(bad: Request, why: str) -> None:
    """A stranger's answer, an answer outside a release's time, and a switch back are each told."""
    found = violations(1, THERE_AND_BACK, [*GOOD, bad])
    assert len(found) == 1
    assert why in found[0]


def test_a_request_that_spans_a_whole_release_may_be_of_either_side() -> None:
    """A request from before one switch to after the next is explained by each version that was live meanwhile."""
    for version in (1, 2):
        assert violations(1, THERE_AND_BACK, [*GOOD, Request(9, 25, version)]) == []


def test_a_switch_that_nobody_saw_is_no_proof() -> None:
    """A log without a request of one release says so: it would prove anything."""
    unseen = [request for request in GOOD if request.version == 1]
    assert violations(1, THERE_AND_BACK, unseen) == ["no request shows release 1"]
    assert violations(1, THERE_AND_BACK, []) == [f"no request shows release {number}" for number in range(3)]


def test_slack_forgives_a_late_note_and_no_more() -> None:
    """With late times, requests count as in turn only where more than the slack lies between them."""
    back = [*GOOD, Request(10.55, 10.6, 1)]
    assert violations(1, THERE_AND_BACK, back, slack=0.1) == []
    assert len(violations(1, THERE_AND_BACK, back, slack=0.01)) == 1


times = st.tuples(st.integers(0, 12), st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))
requests = st.lists(st.builds(lambda at, version: Request(at[0], at[1], version), times, st.integers(1, 2)), max_size=5)
SHORT = [Switch(2, 2, 4), Switch(1, 6, 8)]


@given(requests)
def test_the_verdict_is_that_of_testing_every_explanation(log: list[Request]) -> None:
    """It accepts exactly the logs for which some way to give releases to requests contradicts nothing."""
    contradicted = [text for text in violations(1, SHORT, log) if not text.startswith("no request shows")]
    assert (not contradicted) == any(_explains(each, log) for each in itertools.product(range(3), repeat=len(log)))


def _explains(given_out: Sequence[int], log: Sequence[Request]) -> bool:
    pairs = list(zip(given_out, log, strict=True))
    spans = [(1, -1, 4), (2, 2, 8), (1, 6, 99)]
    fits = all(
        spans[number][0] == each.version and spans[number][1] <= each.ended and each.started <= spans[number][2]
        for number, each in pairs
    )
    return fits and all(
        a <= b for (a, before), (b, after) in itertools.product(pairs, pairs) if before.ended < after.started
    )


@given(st.data(), st.integers(2, 4), st.integers(6, 8))
def test_no_true_history_is_rejected(data: st.DataObject, first: int, second: int) -> None:
    """Whatever the moments of the switches, requests that read the live version at one of theirs are explained."""
    log = []
    for started, ended in data.draw(st.lists(times, min_size=1, max_size=30)):
        read = data.draw(st.integers(started, ended))
        log.append(Request(started, ended, 2 if first <= read < second else 1))
    assert not [text for text in violations(1, SHORT, log) if not text.startswith("no request shows")]


def test_the_gateways_log_is_read_by_request_id() -> None:
    """Only the load's own lines count; start and end follow from the line's time and milliseconds."""
    line = {"event": "request", "request_id": "load-1", "status": 200, "milliseconds": 250.0}
    line |= {"timestamp": "1970-01-01T00:00:10.500000Z", "model_version": 7}
    others = [line | {"request_id": "another"}, line | {"event": "version adopted"}]
    unscored = {name: value for name, value in line.items() if name != "model_version"} | {"status": 503}
    read = list(logged(map(json.dumps, [line, *others, unscored]), "load-"))
    assert read == [("load-1", 200, Request(10.25, 10.5, 7)), ("load-1", 503, None)]
