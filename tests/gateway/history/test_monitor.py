"""Answers say when they are made with less history than there should be; so do health and metrics."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.testclient import TestClient

from gateway.settings import GatewaySettings
from history.epoch import EPOCH, LOADING, REPLACE_EPOCH, Epoch
from history.keyed_hash import KEY_CHECK
from releases.record import Release
from tests.gateway.remembering import Serve, counts, history_server, line, upload
from tests.gateway.trials import Valkey
from tests.gateway.waiting import until
from tests.keys import KEY
from tests.tiny import TinyServer

LARGE = [line(f"{n}", f"c{n % 7}", n) for n in range(600)]
YEAR = 400 * 86_400


@pytest.fixture
def model_server(tmp_path: Path) -> TinyServer:
    """Holds version 1, which looks at the card's history."""
    return history_server(tmp_path)


@pytest.fixture
def gateway(serve: Serve, valkey: Valkey) -> Serve:
    """Starts a gateway on the test's own Valkey."""
    return lambda **changes: serve(redis_url=valkey.url, **changes)


def has_served(settings: GatewaySettings) -> None:
    """The release is of yesterday."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    Path(str(settings.release_record)).write_bytes(Release(1, None, yesterday.isoformat()).to_bytes())


def epoch_of(valkey: Valkey) -> Epoch | None:
    """What Redis holds."""
    with valkey.raw() as redis:
        return Epoch.from_bytes(cast("bytes | None", redis.get(EPOCH)))


def history(client: TestClient) -> dict[str, Any]:
    """What /health says of it."""
    fields: dict[str, Any] = client.get("/health").json()["components"]["history"]
    return fields


def degraded(answer: dict[str, Any]) -> bool:
    """Whether it says that its history is not what it should be."""
    return answer.get("degraded") == ["history"]


def test_a_new_deployment_is_whole_and_says_since_when_it_remembers(gateway: Serve) -> None:
    """It has seen everything that it was sent."""
    began = datetime.now(UTC).replace(microsecond=0)
    client = gateway()
    assert not degraded(upload(client, [line("1")]))
    until(lambda: history(client)["status"] == "healthy")
    assert began <= datetime.fromisoformat(history(client)["reaches_back_to"]) <= datetime.now(UTC)


@pytest.mark.parametrize("lines", [[line("new")], LARGE], ids=["one", "large"])
def test_an_emptied_redis_is_reported_by_the_next_answer_and_by_all_that_follow(
    gateway: Serve, valkey: Valkey, lines: list[str]
) -> None:
    """Whichever gateway answers, also one that is started later; health names the loss."""
    first, second = gateway(), gateway()
    assert not any(degraded(upload(client, [line(f"{n}")])) for n, client in enumerate([first, second]))
    with valkey.raw() as redis:
        redis.flushall()
    assert degraded(upload(first, lines))
    assert degraded(upload(second, [line("2")]))
    until(lambda: epoch_of(valkey) is not None)
    third = gateway()
    assert all(degraded(upload(client, [line(f"{n}-later")])) for n, client in enumerate([first, second, third]))
    until(lambda: history(third)["reason"] == "lost")
    assert third.get("/health").json()["status"] == "degraded"
    assert 'history_incomplete{reason="lost"} 1.0' in third.get("/metrics").text


def test_a_loss_stands_until_the_longest_window_has_passed(gateway: Serve, valkey: Valkey) -> None:
    """By then nothing that was lost would be looked at."""
    client = gateway()
    upload(client, [line("1")])
    lost = cast("Epoch", epoch_of(valkey)).marked_lost(time.time() - YEAR)
    with valkey.raw() as redis:
        redis.set(EPOCH, lost.to_bytes())
    assert not degraded(upload(client, [line("2")]))
    with valkey.raw() as redis:
        redis.set(EPOCH, lost.marked_lost(time.time()).to_bytes())
    assert degraded(upload(client, [line("3")]))


def test_a_past_that_was_loaded_ends_a_loss(gateway: Serve, valkey: Valkey, settings: GatewaySettings) -> None:
    """As far as it reaches back."""
    has_served(settings)
    client = gateway()
    assert degraded(upload(client, [line("1")]))
    lost = cast("Epoch", epoch_of(valkey))
    for days, whole in ((3, False), (400, True)):
        with valkey.raw() as redis:
            redis.set(EPOCH, lost.extended(time.time() - days * 86_400).to_bytes())
        assert degraded(upload(client, [line(f"{days}")])) is not whole


def test_a_gateway_that_finds_nothing_where_it_has_served_before_says_so(
    gateway: Serve, valkey: Valkey, settings: GatewaySettings
) -> None:
    """Redis was emptied while no gateway ran."""
    has_served(settings)
    assert degraded(upload(gateway(), [line("1")]))
    assert cast("Epoch", epoch_of(valkey)).lost_at is not None


def test_states_from_before_there_were_epochs_are_adopted(
    gateway: Serve, valkey: Valkey, settings: GatewaySettings
) -> None:
    """A deployment of an earlier release has lost nothing, though nobody knows how far it reaches back."""
    upload(gateway(), [line("1")])
    with valkey.raw() as redis:
        redis.delete(EPOCH)
    has_served(settings)
    client = gateway()
    answer = upload(client, [line("2")])
    assert (counts(answer), degraded(answer)) == ([1], False)
    until(lambda: history(client)["status"] == "healthy")
    assert history(client)["reaches_back_to"] is None


def test_what_gets_its_key_just_now_is_adopted_too(gateway: Serve, valkey: Valkey, settings: GatewaySettings) -> None:
    """While `fraud history rekey` moves the states aside, none is found; that is no loss."""
    has_served(settings)
    with valkey.raw() as redis:
        redis.mset({"fraud:rekey:h:state": "", KEY_CHECK: b"1  %b" % KEY.check})
        client = gateway()
        assert degraded(upload(client, [line("1")]))
        assert redis.get(EPOCH) is None
        assert history(client)["reason"] == "unavailable"
        redis.rename("fraud:rekey:h:state", "fraud:h:state")
        redis.set(KEY_CHECK, KEY.check)
    until(lambda: client.get("/livez").is_success and epoch_of(valkey) is not None)
    assert not degraded(upload(client, [line("2")]))


def test_another_redis_in_its_place_is_a_loss(gateway: Serve, valkey: Valkey) -> None:
    """It holds another past than this gateway has answered by."""
    client = gateway()
    upload(client, [line("1")])
    with valkey.raw() as redis:
        redis.set(EPOCH, Epoch.new(time.time(), lost=False).to_bytes())
    assert degraded(upload(client, [line("2")]))
    until(lambda: cast("Epoch", epoch_of(valkey)).lost_at is not None)
    assert degraded(upload(client, [line("3")]))


@pytest.mark.parametrize("kind", ["text", "list"])
def test_an_epoch_that_cannot_be_read_is_none(gateway: Serve, valkey: Valkey, kind: str) -> None:
    """Whoever wrote over it: it is written anew, as a loss."""
    client = gateway()
    upload(client, [line("1")])
    with valkey.raw() as redis:
        pipeline = redis.pipeline().delete(EPOCH)
        (pipeline.set(EPOCH, "{") if kind == "text" else pipeline.rpush(EPOCH, "x")).execute()
        assert degraded(upload(client, [line("2")]))
        until(lambda: client.get("/livez").is_success and redis.type(EPOCH) == b"string")
    until(lambda: client.get("/livez").is_success and epoch_of(valkey) is not None)
    assert degraded(upload(client, [line("3")]))


def test_a_gateway_that_remembers_nothing_writes_no_epoch(
    gateway: Serve, valkey: Valkey, settings: GatewaySettings
) -> None:
    """And misses none."""
    has_served(settings)
    assert not degraded(upload(gateway(history=False), [line("1")]))
    assert epoch_of(valkey) is None


def test_only_what_is_as_expected_is_replaced(valkey: Valkey) -> None:
    """Of two gateways that write at once one is first, and the other looks again."""
    with valkey.raw() as redis:
        assert [redis.eval(REPLACE_EPOCH, 0, b"", text) for text in (b"a", b"b")] == [1, 0]
        assert [redis.eval(REPLACE_EPOCH, 0, b"a", text) for text in (b"c", b"d")] == [1, 0]


def test_a_gateway_that_starts_waits_for_the_past_that_is_loaded(gateway: Serve, valkey: Valkey) -> None:
    """It is ready when the load or its lease ends; one that was ready stays so. Answers meanwhile are degraded."""
    running = gateway()
    assert running.get("/readyz").is_success
    with valkey.raw() as redis:
        redis.set(LOADING, b"1")
        starting = gateway()
        answer = starting.get("/readyz")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:fraud-detection:history_loading")
        assert running.get("/readyz").is_success
        assert all(degraded(upload(client, [line(f"{n}")])) for n, client in enumerate([running, starting]))
        assert history(starting)["reason"] == "loading"
        redis.pexpire(LOADING, 1)
    until(lambda: starting.get("/readyz").is_success)
    assert not degraded(upload(starting, [line("2")]))


def test_a_repeat_of_a_degraded_answer_gets_true_values(gateway: Serve, valkey: Valkey) -> None:
    """What was made without history is kept for nobody; the repeat does not count itself, and enters nothing."""
    client = gateway()
    with valkey.raw() as redis:
        redis.set(LOADING, b"1")
        lines = [line("1", second=1), line("2", second=2), line("x", "other", 3)]
        assert degraded(upload(client, lines))
        redis.delete(LOADING)
    upload(client, [line("loaded", second=0)])
    answer = upload(client, lines)
    assert (counts(answer), degraded(answer)) == ([1, 2, 0], False)
    assert counts(upload(client, [line("last", second=9)])) == [3]


@pytest.mark.parametrize("lines", [[line("x", "c1")], LARGE], ids=["one", "large"])
@pytest.mark.parametrize("query", ["", "?record=false"])
@pytest.mark.parametrize("damage", ["another type", "bytes too many"])
def test_a_damaged_state_is_reported(gateway: Serve, valkey: Valkey, lines: list[str], query: str, damage: str) -> None:
    """Whatever meets it, a single row or a file that enters in blocks; and only that."""
    client = gateway()
    upload(client, [line("1", "c1", shop="other")])
    with valkey.raw() as redis:
        for key in [*redis.scan_iter("fraud:h:*")]:
            if damage == "another type":
                redis.delete(key)
                redis.rpush(key, "x")
            else:
                redis.append(key, b"stray")
    assert degraded(upload(client, lines, query))
    assert not degraded(upload(client, [line("2", "new", shop="new")], query))


def test_a_full_redis_is_reported_everywhere(gateway: Serve, valkey: Valkey) -> None:
    """In the answer, which still knows the past, in health and in the metrics; no label is taken and lost."""
    client = gateway()
    upload(client, [line("1")])
    with valkey.raw() as redis:
        redis.config_set("maxmemory", 1)
        answer = upload(client, [line("2")])
        assert (counts(answer), degraded(answer)) == ([1], True)
        until(lambda: history(client)["reason"] == "full")
        assert client.get("/health").json()["status"] == "degraded"
        assert 'history_incomplete{reason="full"} 1.0' in client.get("/metrics").text
        label = {"transaction_id": "1", "fraud": True}
        assert client.post("/v1/labels", json=[label]).status_code == 503
        redis.config_set("maxmemory", 0)
        assert client.post("/v1/labels", json=[label]).json()["changed"] == 1
