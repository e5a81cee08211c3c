import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis
from starlette.testclient import TestClient

from history.epoch import EPOCH
from history.keyed_hash import FORMAT_KEY, KEY_CHECK
from tests.gateway import remembering
from tests.gateway.remembering import Serve, counts, history_server, line, starter, upload
from tests.gateway.trials import Valkey
from tests.gateway.waiting import until
from tests.tiny import TinyServer
from tests.valkey import running

LARGE = 4_000


@pytest.fixture
def model_server(tmp_path: Path) -> TinyServer:
    """Holds version 1, which looks at the card's history."""
    return history_server(tmp_path)


@pytest.fixture
def gateway(serve: Serve, valkey: Valkey) -> Callable[..., TestClient]:
    """Starts a gateway on the test's own Valkey, which a busy machine may delay."""
    return starter(serve, valkey)


def test_a_transaction_sees_those_that_came_before(gateway: Serve) -> None:
    """The first one of a card sees none, the next one sees it; another card's sees none."""
    client = gateway()
    observed = [
        counts(upload(client, [line(identity, card)])) for identity, card in [("1", "a"), ("2", "a"), ("3", "b")]
    ]
    assert observed == [[0], [1], [0]]


def test_rows_of_an_upload_see_each_other_in_order_of_time(gateway: Serve) -> None:
    """Whatever their order in the file; rows of one second in the file's."""
    lines = [line("3", second=20), line("1", second=10), line("2", second=10), line("x", "other")]
    assert counts(upload(gateway(), lines)) == [2, 0, 1, 0]


def test_a_repeat_gets_the_first_score_and_is_not_counted(gateway: Serve) -> None:
    """Through another gateway too, and after others of the card have come."""
    first, second = gateway(), gateway()
    upload(first, [line("1"), line("2", second=1)])
    assert counts(upload(second, [line("3", second=2)])) == [2]
    repeat = [upload(client, [line("2", second=1), line("4", second=3)]) for client in (second, first)]
    assert [counts(answer) for answer in repeat] == [[1, 3], [1, 3]]
    assert counts(upload(first, [line("5", second=4)])) == [4]


def test_a_row_that_stands_twice_in_a_file_counts_once(gateway: Serve) -> None:
    """Both get the score of the one that comes first in time."""
    client = gateway()
    assert counts(upload(client, [line("1"), line("2", second=1), line("2", second=5), line("3", second=9)])) == [
        0,
        1,
        1,
        2,
    ]


def test_rows_without_an_id_count_each_time(gateway: Serve) -> None:
    """Nobody can tell whether they are the same."""
    client = gateway()
    assert [counts(upload(client, [line(""), line("")])) for _ in range(2)] == [[0, 1], [2, 3]]


def test_rows_without_a_card_have_no_history(gateway: Serve) -> None:
    """And are nobody's."""
    client = gateway()
    assert [counts(upload(client, [line(identity, card="")])) for identity in "12"] == [[0], [0]]


def test_record_false_leaves_no_trace(gateway: Serve, valkey: Valkey) -> None:
    """The rows see what was before and each other, and Redis is as before."""
    client = gateway()
    upload(client, [line("1")])
    with valkey.raw() as redis:
        until(lambda: client.get("/livez").is_success and [*redis.scan_iter("fraud:a:*")] != [])
        before = {key: redis.dump(key) for key in redis.scan_iter()}
        assert counts(upload(client, [line("1"), line("2"), line("3")], "?record=false")) == [0, 1, 2]
        assert {key: redis.dump(key) for key in redis.scan_iter()} == before


def test_a_deployment_can_remember_nothing(gateway: Serve, valkey: Valkey) -> None:
    """HISTORY=false is record=false for every request, whatever it says."""
    client = gateway(history=False)
    assert [counts(upload(client, [line(identity)], "?record=true")) for identity in "12"] == [[0], [0]]
    with valkey.client() as redis:
        assert sorted(redis.keys()) == ["fraud:format", "fraud:key"]


def test_json_and_files_share_one_history(gateway: Serve) -> None:
    """A transaction by itself is seen by a file's rows, and the other way round."""
    client = gateway()
    row = {"transaction_id": "1", "timestamp": "2026-01-01T12:00:00", "card": "c", "shop": "s", "amount": 10}
    assert counts(client.post("/v1/score", json=row).json()) == [0]
    assert counts(upload(client, [line("2", second=1)])) == [1]
    assert counts(client.post("/v1/score", json=[row | {"transaction_id": "3"}]).json()) == [2]


def test_without_redis_every_row_is_scored_and_the_reply_says_so(serve: Serve) -> None:
    """A neutral history: nothing was seen."""
    answer = upload(serve(), [line("1"), line("2", second=1)])
    assert (counts(answer), answer["degraded"]) == ([0, 0], ["history"])


def test_a_file_that_comes_back_as_csv_says_so_in_a_header(serve: Serve) -> None:
    """There is no other place in it."""
    text = "\n".join([remembering.HEADER, line("1"), ""])
    answer = serve().post("/upload", content=text, headers={"content-type": "text/csv", "accept": "text/csv"})
    assert answer.headers["x-degraded"] == "history"


def test_a_redis_that_dies_and_comes_back(serve: Serve, tmp_path: Path) -> None:
    """Degraded while it is away, and whole again by itself; what its disk kept is there."""
    with running(tmp_path) as valkey:
        client = serve(redis_url=valkey.url)
        assert "degraded" not in upload(client, [line("1")])
        valkey.kill()
        assert upload(client, [line("2")])["degraded"] == ["history"]
        valkey.start()
        assert seconds_until_whole(client) < 2.0, "at most 0.1 on a quiet machine"
        assert counts(upload(client, [line("4")]))[0] >= 1


def test_a_frozen_redis_costs_one_request_the_timeout_and_others_nothing(gateway: Serve, valkey: Valkey) -> None:
    """Until it goes on no request asks it; then a probe finds it out."""
    client = gateway(history_timeout_seconds=0.5)
    upload(client, [line("0")])
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        first, *others = [timed(client, identity) for identity in "12345678"]
    finally:
        os.kill(valkey.pid, signal.SIGCONT)
    assert first >= 0.5
    assert sorted(others)[len(others) // 2] < 0.25, "a busy machine may be slow now and then"
    assert seconds_until_whole(client) < 2.0, "0.01 to 0.1 on a quiet machine"


def seconds_until_whole(client: TestClient) -> float:
    """How long it takes until an answer has its history again."""
    started = time.perf_counter()
    until(lambda: "degraded" not in upload(client, [line("0")], "?record=false"))
    return time.perf_counter() - started


def timed(client: TestClient, identity: str) -> float:
    """How many seconds a request takes that is answered without history."""
    started = time.perf_counter()
    assert upload(client, [line(identity)])["degraded"] == ["history"]
    return time.perf_counter() - started


@pytest.mark.parametrize("rows", [1, LARGE])
def test_the_model_has_time_left_whatever_history_takes(gateway: Serve, valkey: Valkey, rows: int) -> None:
    """A deadline that is shorter than Redis' timeout gives an answer without history, and no 504."""
    client = gateway(deadline_seconds=2.0, history_timeout_seconds=3.0)
    upload(client, [line("0")])
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        assert upload(client, [line(f"{n}") for n in range(rows)])["degraded"] == ["history"]
    finally:
        os.kill(valkey.pid, signal.SIGCONT)


def test_a_full_redis_still_tells_the_past(gateway: Serve, valkey: Valkey) -> None:
    """What is there is read; that the row itself cannot be noted is said."""
    client = gateway()
    upload(client, [line("1")])
    with valkey.client() as redis:
        redis.config_set("maxmemory", 1)
        answer = upload(client, [line("2")])
        assert (counts(answer), answer["degraded"]) == ([1], ["history"])


def test_a_redis_that_forgot_its_scripts_gets_them_again(gateway: Serve, valkey: Valkey) -> None:
    """As after a restart."""
    client = gateway()
    upload(client, [line("1")])
    with valkey.client() as redis:
        redis.script_flush()
    answer = upload(client, [line("2")])
    assert (counts(answer), "degraded" in answer) == ([1], False)


def test_a_large_file_is_as_exact_as_a_small_one(gateway: Serve) -> None:
    """Several blocks: rows see each other, a repeat through another gateway sees the same, and nothing counts twice."""
    first, second = gateway(), gateway()
    lines = [line(f"{n}", f"c{n % 7}", n) for n in range(LARGE)]
    shuffled = random.Random(1).sample(lines, len(lines))  # noqa: S311 - an order, no secret
    expected = [int(each.split(",")[0]) // 7 for each in shuffled]
    assert counts(upload(first, shuffled)) == expected
    assert counts(upload(second, shuffled)) == expected
    assert counts(upload(second, [line("last", "c0", LARGE)])) == [-(-LARGE // 7)]


def test_a_large_file_of_which_a_part_is_known(gateway: Serve) -> None:
    """Known rows keep their values, new ones are counted, in the same blocks."""
    client = gateway()
    lines = [line(f"{n}", f"c{n % 7}", n) for n in range(LARGE)]
    upload(client, lines[: LARGE // 2 : 3])
    upload(client, lines)
    assert counts(upload(client, [line("last", "c0", LARGE)])) == [-(-LARGE // 7)]


@pytest.mark.parametrize("rows", [20, 600])
def test_cards_none_of_which_was_seen_before_are_noted(gateway: Serve, rows: int) -> None:
    """In a small file and in a large one, until one of them is known; a few new ones are nothing odd."""
    client = gateway()
    new = [line(f"{row}", card=f"c-{row}", second=row) for row in range(rows)]
    assert upload(client, new[:19], "?record=false")["notes"] == []
    note = {"code": "new_entities", "column": "card", "count": rows, "share": 1.0}
    assert [each for each in upload(client, new, "?record=false")["notes"] if each["code"] == "new_entities"] == [note]
    upload(client, new[:1])
    assert "new_entities" not in {each["code"] for each in upload(client, new)["notes"]}


def reused(answer: dict[str, Any]) -> list[int]:
    """The rows that notes say have the id of another transaction."""
    return [note["count"] for note in answer["notes"] if note["code"] == "id_reused"]


@pytest.mark.parametrize("query", ["", "?record=false"])
@pytest.mark.parametrize("rows", [1, 600])
def test_an_id_that_comes_with_another_transaction_is_scored_by_its_own_history(
    gateway: Serve, rows: int, query: str
) -> None:
    """Of another shop or time: it sees what is there before it, is not counted, and the answer says so."""
    client = gateway()
    first = [line(f"{row}", card="a", second=row) for row in range(rows)]
    upload(client, first)
    assert reused(upload(client, first, query)) == []
    elsewhere = [line(f"{row}", card="b", second=row, shop="elsewhere") for row in range(rows)]
    later = [line(f"{row}", card="a", second=row + 1_000) for row in range(rows)]
    for others, seen in ((elsewhere, [0] * rows), (later, [rows] * rows)):
        answer = upload(client, others, query)
        assert reused(answer) == [rows]
        assert counts(answer) == seen
    assert counts(upload(client, [line("new", card="b", second=5_000)])) == [0]
    answer = upload(client, first, query)
    assert (reused(answer), counts(answer)) == ([], list(range(rows)))


def test_only_the_rows_whose_id_is_another_s_are_noted(gateway: Serve) -> None:
    """The others of the same request are repeats and new ones, as ever."""
    client = gateway()
    upload(client, [line("known", second=0), line("used", second=1)])
    answer = upload(client, [line("known", second=0), line("used", second=100), line("new", second=200)])
    assert reused(answer) == [1]
    assert counts(answer) == [0, 2, 2]


def test_no_text_of_a_caller_is_in_redis(gateway: Serve, valkey: Valkey) -> None:
    """Neither ids nor cards, in keys or values."""
    upload(gateway(), [line("secret-id", "4111111111111111")])
    with valkey.raw() as redis:
        text = b"".join([key + redis.dump(key) for key in redis.scan_iter()])
    assert b"secret" not in text
    assert b"4111" not in text


@pytest.mark.parametrize("rows", [1, 150, LARGE])
def test_what_is_stored_expires(gateway: Serve, valkey: Valkey, rows: int) -> None:
    """Every key of a transaction has an end: from the start, or when a large file's journals are settled later."""
    client = gateway()
    upload(client, [line(f"{n}", f"c{n % 7}", n) for n in range(rows)])
    with valkey.raw() as redis:
        if rows == LARGE:
            until(lambda: client.get("/livez").is_success and not redis.exists("fraud:due"))
        assert sorted(endless(redis)) == sorted([EPOCH, FORMAT_KEY])
        assert sum(cast("int", redis.hlen(slot)) for slot in redis.scan_iter("fraud:k:*")) == rows


def test_a_damaged_state_is_an_empty_one_and_reported(gateway: Serve, valkey: Valkey) -> None:
    """It costs nobody else a score, nor this card more than its past."""
    client = gateway()
    upload(client, [line("1"), line("2", "other")])
    with valkey.raw() as redis:
        for key in redis.scan_iter("fraud:h:*"):
            redis.append(key, b"stray")
    answers = [upload(client, [line(identity, card, shop=card)]) for identity, card in (("3", "c"), ("4", "new"))]
    assert [counts(answer) for answer in answers] == [[0], [0]]
    assert ["degraded" in answer for answer in answers] == [True, False]


def test_a_key_of_another_type_spoils_one_request(gateway: Serve, valkey: Valkey) -> None:
    """Its own is degraded; the next one of another card is not."""
    client = gateway()
    upload(client, [line("1")])
    with valkey.raw() as redis:
        for key in [*redis.scan_iter("fraud:h:*")]:
            redis.delete(key)
            redis.rpush(key, "x")
    assert upload(client, [line("2")])["degraded"] == ["history"]
    assert "degraded" not in upload(client, [line("3", "other", shop="other")])


def test_a_card_of_many_small_files_keeps_a_bounded_state(gateway: Serve, valkey: Valkey) -> None:
    """However many records each file adds, a long state is merged sooner or later."""
    client = gateway()
    upload(client, [line("first")])
    for number in range(200):
        upload(client, [line(f"{number}-{hour}", second=3600 * hour) for hour in range(2)])
    with valkey.raw() as redis:
        until(lambda: client.get("/livez").is_success and longest(redis) < 100 * 28)


def longest(redis: Redis) -> int:
    """Bytes of the longest state."""
    return max(cast("int", redis.strlen(key)) for key in redis.scan_iter("fraud:h:*"))


def endless(redis: Redis) -> list[bytes]:
    """Keys that never expire, but for the one that says what digests are made with."""
    return [key for key in redis.scan_iter() if redis.ttl(key) == -1 and key != KEY_CHECK]
