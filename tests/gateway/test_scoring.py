"""JSON objects of many callers at once, over the real app, handler and Valkey: each is answered as if it were alone."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contract.features import to_matrix
from contract.schema import Contract, Feature, FeatureKind
from contract.table import Table
from gateway.api.replies import as_json
from gateway.app import create_app
from gateway.http.problems import Problem
from gateway.models.score_result import ScoreResult
from gateway.requests import payload
from gateway.requests.payload import OnError
from gateway.scoring import COALESCED_OBJECTS, ScoreOptions, Scorer
from gateway.services import Services
from gateway.settings import GatewaySettings
from tests.gateway import remembering
from tests.gateway.contracts import settings_of, write_live
from tests.gateway.remembering import CARDS, COLUMNS, history_server
from tests.gateway.trials import Valkey
from tests.timeouts import WAIT_SECONDS
from tests.tiny import TinyServer

TOLERANCE = 5e-8
BAD_AMOUNT = 666.0
NO_HISTORY = Contract("without history", COLUMNS, (Feature("amount", FeatureKind.NUMBER, "amount"),))
"""Of its callers those too are scored together who leave no trace."""
Answer = dict[str, Any]


def transaction(identity: str, card: str = "c", **changes: object) -> dict[str, object]:
    """A transaction that the contract reads."""
    moment = "2026-01-01T12:00:00"
    return {"transaction_id": identity, "timestamp": moment, "card": card, "shop": "s", "amount": 10} | changes


def server_of(directory: Path, contract: Contract) -> TinyServer:
    """A model server that holds version 1 of a contract with or without history."""
    return history_server(directory) if contract.history else write_live(directory, contract)


@asynccontextmanager
async def gateway(directory: Path, valkey: Valkey, contract: Contract) -> AsyncIterator[Services]:
    """The services of a gateway that has begun to serve version 1."""
    given = settings_of(directory, redis_url=valkey.url, history_timeout_seconds=10.0)
    app = create_app(GatewaySettings.model_validate(given), transport=server_of(directory, contract))
    async with app.router.lifespan_context(app) as state, asyncio.timeout(10 * WAIT_SECONDS):
        assert state is not None
        services: Services = state["services"]
        while services.metrics.registry.get_sample_value("live_model_version") != 1:  # noqa: ASYNC110 - adoption is no event
            await asyncio.sleep(0.01)
        yield services


async def answer(scoring: Awaitable[ScoreResult]) -> Answer:
    """What a caller is answered: the scores or the problem."""
    try:
        fields: Answer = json.loads(as_json(await scoring))
    except Problem as problem:
        fields = problem.to_json()
    return fields


async def answers(scorer: Scorer, groups: Sequence[Sequence[object]], options: ScoreOptions) -> list[Answer]:
    """What callers are answered who come at once."""
    return await asyncio.gather(*(answer(scorer.score_objects(objects, options)) for objects in groups))


def counts(answered: Answer) -> list[int]:
    """How many transactions of its card the model saw for each row."""
    return remembering.counts(answered)


def run(
    directory: Path, valkey: Valkey, test: Callable[[Services], Awaitable[None]], contract: Contract = CARDS
) -> None:
    """Runs a test of a gateway in a loop."""

    async def serve() -> None:
        async with gateway(directory, valkey, contract) as services:
            await test(services)

    asyncio.run(serve())


OBJECTS: st.SearchStrategy[object] = st.one_of(
    st.builds(
        transaction,
        st.text("ab", max_size=2),
        st.sampled_from(["c", "d", ""]),
        amount=st.one_of(st.none(), st.floats(-1e30, 1e30), st.integers(-(10**400), 10**400)),
        timestamp=st.sampled_from(["2026-01-01T12:00:00", "2026-01-05T09:30:00", "1969-01-01", "9999-12-31"]),
    ),
    st.sampled_from([None, [], {}, *(transaction("a") | {name: 5} for name in ("timestamp", "strange", "card"))]),
)
CALLERS = st.lists(st.lists(OBJECTS, max_size=COALESCED_OBJECTS + 2), min_size=1, max_size=8)


@pytest.mark.parametrize("contract", [CARDS, NO_HISTORY], ids=lambda contract: contract.name)
@pytest.mark.parametrize("on_error", OnError)
def test_each_caller_is_answered_as_alone(
    tmp_path: Path, valkey: Valkey, on_error: OnError, contract: Contract
) -> None:
    """Good, bad and odd objects: scores within rounding, and each fault with its caller, under the caller's numbers."""

    async def test(services: Services) -> None:
        scorer, options = services.scorer, ScoreOptions(on_error, record=False)
        past = [transaction(f"p{at}", "cd"[at % 2], amount=at, timestamp="2026-01-01T11:00:00") for at in range(9)]
        await answer(scorer.score_objects(past, ScoreOptions()))
        inputs = list[list[list[object]]]()

        @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(CALLERS)
        def collect(groups: list[list[object]]) -> None:
            inputs.append(groups)

        collect()
        for groups in inputs:
            together = await answers(scorer, groups, options)
            alone = [await answer(scorer.score_objects(objects, options)) for objects in groups]
            for one, other in zip(together, alone, strict=True):
                assert_alike(one, other)

    run(tmp_path, valkey, test)


def assert_alike(one: Answer, other: Answer) -> None:
    """All but the last digits of the probabilities."""
    scores = [[row.pop("fraud_probability") for row in each.get("predictions", [])] for each in (one, other)]
    assert one == other
    assert all(math.isclose(a, b, abs_tol=TOLERANCE) for a, b in zip(*scores, strict=True))


def test_an_id_of_two_callers_counts_once(tmp_path: Path, valkey: Valkey) -> None:
    """Both get the first one's score, and the card has one transaction more."""

    async def test(services: Services) -> None:
        first = await answers(services.scorer, [[transaction("a")]] * 20, ScoreOptions())
        assert [counts(each) for each in first] == [[0]] * 20
        assert counts(await answer(services.scorer.score_objects([transaction("b")], ScoreOptions()))) == [1]

    run(tmp_path, valkey, test)


def test_callers_who_leave_no_trace_are_kept_apart(tmp_path: Path, valkey: Valkey) -> None:
    """Of callers who come at once those who are to be remembered are, and no other."""

    async def test(services: Services) -> None:
        scores = [
            services.scorer.score_objects([transaction(f"{place}")], ScoreOptions(record=place % 2 == 0))
            for place in range(20)
        ]
        await asyncio.gather(*scores)
        assert counts(await answer(services.scorer.score_objects([transaction("b")], ScoreOptions()))) == [10]

    run(tmp_path, valkey, test)


def test_callers_who_leave_no_trace_do_not_see_each_other(tmp_path: Path, valkey: Valkey) -> None:
    """Where many come at once, each has the history that it would have alone."""

    async def test(services: Services) -> None:
        groups = [[transaction(f"{place}")] for place in range(20)]
        answered = await answers(services.scorer, groups, ScoreOptions(record=False))
        assert [counts(each) for each in answered] == [[0]] * 20

    run(tmp_path, valkey, test)


def defective(contract: Contract, table: Table) -> NDArray[np.float32]:
    """A feature that fails for one amount."""
    if BAD_AMOUNT in table.columns["amount"]:
        raise ArithmeticError
    return to_matrix(contract, table)


def test_a_defect_that_one_input_meets_is_its_own(
    tmp_path: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are scored, and counted once."""
    monkeypatch.setattr(payload, "to_matrix", defective)

    async def test(services: Services) -> None:
        groups = [[transaction(f"{place}", f"c{place}")] for place in range(20)]
        groups[7][0]["amount"] = BAD_AMOUNT
        scores = (services.scorer.score_objects(objects, ScoreOptions()) for objects in groups)
        outcomes = await asyncio.gather(*scores, return_exceptions=True)
        assert [place for place, outcome in enumerate(outcomes) if isinstance(outcome, ArithmeticError)] == [7]
        later = [[transaction(f"later {place}", f"c{place}")] for place in range(20)]
        assert [counts(each) for each in await answers(services.scorer, later, ScoreOptions())] == [[1]] * 20

    run(tmp_path, valkey, test)


def test_rows_without_an_id_are_not_entered_again(
    tmp_path: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After another's defect too: they would count twice, and their caller hears of it instead."""
    monkeypatch.setattr(payload, "to_matrix", defective)

    async def test(services: Services) -> None:
        groups = [[transaction("bad", "other", amount=BAD_AMOUNT)], [transaction("")], [transaction("good")]]
        scores = (services.scorer.score_objects(objects, ScoreOptions()) for objects in groups)
        outcomes = await asyncio.gather(*scores, return_exceptions=True)
        assert [isinstance(outcome, ScoreResult) for outcome in outcomes] == [False, False, True]
        assert counts(await answer(services.scorer.score_objects([transaction("b")], ScoreOptions()))) == [2]

    run(tmp_path, valkey, test)


def test_every_degraded_answer_is_counted(tmp_path: Path, valkey: Valkey) -> None:
    """Though the history of many was asked for once."""

    async def test(services: Services) -> None:
        valkey.kill()
        degraded = await answers(services.scorer, [[transaction(f"{place}")] for place in range(20)], ScoreOptions())
        assert all(each["degraded"] == ["history"] for each in degraded)
        assert services.metrics.registry.get_sample_value("history_degraded_total") == 20

    run(tmp_path, valkey, test)
