"""Whatever transactions enter by, Redis names what they count in."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract.schema import Feature, FeatureKind
from contract.windows import DAY
from gateway.history import plan_registration
from history.plan import Plan
from history.redis_schema import PLANS, PLANS_SECONDS, registered_layouts
from releases.record import Release
from tests.gateway.remembering import CARDS, COUNT, GOLDEN_CSV, Serve, history_server, line, starter, upload
from tests.gateway.trials import CANARY, Valkey
from tests.gateway.waiting import until
from tests.tiny import TinyServer, write_version

OF_CARDS = Plan.of([CARDS])


@pytest.fixture
def model_server(tmp_path: Path) -> TinyServer:
    """Holds version 1, which looks at the card's history."""
    return history_server(tmp_path)


@pytest.fixture
def gateway(serve: Serve, valkey: Valkey) -> Serve:
    """Starts a gateway on the test's own Valkey."""
    return starter(serve, valkey)


def registered(valkey: Valkey) -> dict[bytes, frozenset[bytes]]:
    """The layouts of each plan, as `fraud history load` reads them."""
    with valkey.raw() as redis:
        found: Any = redis.hgetall(PLANS)
    return registered_layouts(found)


def test_the_plan_of_a_request_is_registered_and_again_in_an_emptied_redis(gateway: Serve, valkey: Valkey) -> None:
    """By its digest, with its layouts, for longer than its transactions are known."""
    assert OF_CARDS
    expected = {OF_CARDS.digest: frozenset(layout.digest for layout in OF_CARDS.layouts)}
    upload(gateway(), [line("1")])
    until(lambda: registered(valkey) == expected)
    with valkey.raw() as redis:
        assert redis.ttl(PLANS) > PLANS_SECONDS - plan_registration.RENEWAL_SECONDS
        redis.flushall()
    until(lambda: registered(valkey) == expected)


def test_a_plan_is_renewed_before_it_expires(gateway: Serve, valkey: Valkey) -> None:
    """One that goes on being used stays known."""
    upload(gateway(), [line("1")])
    until(lambda: bool(registered(valkey)))
    with valkey.raw() as redis:
        redis.expire(PLANS, PLANS_SECONDS - plan_registration.RENEWAL_SECONDS - 10)
        until(lambda: redis.ttl(PLANS) > PLANS_SECONDS - 10)


def test_each_plan_stays_registered_whatever_is_adopted_later(
    gateway: Serve, valkey: Valkey, model_server: TinyServer, tmp_path: Path
) -> None:
    """Transactions that entered before a trial name the plan of the live version alone."""
    client = gateway()
    upload(client, [line("1")])
    shorter = replace(COUNT, seconds=5 * DAY)
    later = replace(CARDS, features=(Feature("count", FeatureKind.NUMBER, shorter.name),), history=(shorter,))
    model_server.serve(write_version(tmp_path / "v2", 2, later, GOLDEN_CSV, history=((3.0,),)), 2)
    (tmp_path / "release.json").write_bytes(Release(1, None, CANARY.started, CANARY).to_bytes())
    both = Plan.of([CARDS, later])
    assert OF_CARDS
    assert both
    expected = {OF_CARDS.digest, both.digest}
    until(lambda: bool(upload(client, [line("2")])) and registered(valkey).keys() == expected)
