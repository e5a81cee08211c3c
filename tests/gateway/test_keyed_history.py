"""What Redis holds names nobody to who knows a card's issuer and last digits; and keys do not mix."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from pydantic import SecretStr
from redis import Redis
from starlette.testclient import TestClient

from history.keyed_hash import KEY_CHECK, UNKEYED, HistoryKey
from history.known_ids import KNOWN
from history.redis_schema import BLOCK
from operations.history.rekey import rekey
from tests.gateway.remembering import Serve, counts, history_server, line, starter, upload
from tests.gateway.trials import Valkey
from tests.gateway.waiting import until
from tests.keys import HISTORY_KEY, KEY
from tests.tiny import TinyServer
from tests.valkey import dump

ISSUER, LAST = "41111111", "1111"
CARD = f"{ISSUER}1111{LAST}"
GUESSES = [f"{ISSUER}{middle:04}{LAST}" for middle in range(10_000)]
LARGE = 600


@pytest.fixture
def model_server(tmp_path: Path) -> TinyServer:
    """Holds version 1, which looks at the card's history."""
    return history_server(tmp_path)


@pytest.fixture
def gateway(serve: Serve, valkey: Valkey) -> Callable[..., TestClient]:
    """Starts a gateway on the test's own Valkey, which a busy machine may delay."""
    return starter(serve, valkey)


def guessed(held: bytes) -> set[str]:
    """The card numbers, of those with this issuer and these last digits, that what Redis holds gives away."""
    return {text for text in GUESSES if any(digest in held for digest in unkeyed(text.encode()))}


def unkeyed(text: bytes) -> list[bytes]:
    """The hashes of a text that anybody can make, those of releases without a key among them; half of each will do."""
    found = [hashlib.blake2b(text, digest_size=16, person=each).digest() for each in (b"entity", b"transaction", b"")]
    found += [hashlib.new(name, text).digest() for name in ("md5", "sha1", "sha256", "blake2b")]
    found = [digest[:8] for digest in found]
    return [text, *found, *(digest.hex().encode() for digest in found)]


@pytest.mark.parametrize("rows", [1, LARGE])
def test_a_card_number_is_not_found_by_guessing(gateway: Serve, valkey: Valkey, rows: int) -> None:
    """With its issuer and last four digits known, and all of Redis to look at: as entity, as id, as a label's id."""
    client = gateway()
    upload(client, [line(CARD, CARD), *(line(f"{n}", f"c{n}", n) for n in range(1, rows))])
    labels = [{"transaction_id": CARD, "fraud": True}]
    assert client.post("/v1/labels", json=labels).json()["accepted"] == 1
    with valkey.raw() as redis:
        held = b"\n".join(dump(redis))
    assert b"fraud:h:" in held
    assert b"fraud:labels:" in held
    assert guessed(held) == set()


def test_the_guessing_would_find_it_without_a_key(gateway: Serve, valkey: Valkey) -> None:
    """So that the test above can fail."""
    upload(gateway(), [line("1", CARD)])
    with valkey.raw() as redis:
        keyed = KEY.entities.digest(CARD)
        (state,) = (key for key in redis.scan_iter("fraud:h:*") if key.endswith(keyed))
        redis.rename(state, state.replace(keyed, UNKEYED.entities.digest(CARD)))
        assert guessed(b"\n".join(dump(redis))) == {CARD}


def test_another_key_does_not_mix_with_what_is_there(gateway: Serve, valkey: Valkey) -> None:
    """Answers say that they know no history, labels are refused, health says why, and nothing is written."""
    upload(gateway(), [line("1")])
    other = gateway(history_key=SecretStr("f" * 64))
    with valkey.raw() as redis:
        before = histories(redis)
        for lines in ([line("2")], [line(f"{n}", second=n) for n in range(2, LARGE + 2)]):
            answer = upload(other, lines)
            assert (set(counts(answer)), answer["degraded"]) == ({0}, ["history"])
        refused = other.post("/v1/labels", json=[{"transaction_id": "1", "fraud": True}])
        assert refused.status_code == 503
        assert "another HISTORY_KEY" in refused.json()["detail"]
        assert histories(redis) == before
    health = other.get("/health").json()
    assert (health["status"], health["components"]["redis"]["history_key"]) == ("degraded", "other")


def test_what_a_release_without_a_key_wrote_waits_for_the_rekeying(gateway: Serve, valkey: Valkey) -> None:
    """Until then history is told to be missing; afterwards it is there, without a restart."""
    upload(gateway(), [line("1"), line("2", second=1)])
    with valkey.raw() as redis:
        unkey(redis)
        client = gateway()
        assert upload(client, [line("3", second=2)])["degraded"] == ["history"]
        assert client.get("/health").json()["components"]["redis"]["history_key"] == "unkeyed"
        rekey(valkey.url, KEY, lambda _: None)
        until(lambda: "degraded" not in upload(client, [line("x", "other")]))
        assert counts(upload(client, [line("4", second=3)])) == [2]


def test_a_redis_that_is_rekeyed_meanwhile_is_left_alone(gateway: Serve, valkey: Valkey) -> None:
    """From the moment on at which it begins: each script asks for the key itself."""
    client = gateway()
    upload(client, [line("1")])
    newer = HistoryKey.of(f"{HISTORY_KEY},{'f' * 64}")
    with valkey.raw() as redis:
        redis.set(KEY_CHECK, b"1 %b %b" % (KEY.check, newer.check))
        before = histories(redis)
        answers = [upload(client, [line("2")]), upload(client, [line(f"{n}", second=n) for n in range(2, LARGE + 2)])]
        assert [answer["degraded"] for answer in answers] == [["history"]] * 2
        assert histories(redis) == before
        rekey(valkey.url, newer, lambda _: None)
    again = gateway(history_key=SecretStr(f"{HISTORY_KEY},{'f' * 64}"))
    assert counts(upload(again, [line("3", second=1)])) == [1]


def histories(redis: Redis) -> dict[bytes, object]:
    """What Redis knows of entities, transactions, labels and journals; answers are still on their way."""
    kinds = (b"fraud:h:", b"fraud:k:", b"fraud:b:", b"fraud:labels:", b"fraud:j:", b"fraud:due")
    return {key: redis.dump(key) for key in redis.scan_iter() if key.startswith(kinds)}


def unkey(redis: Redis) -> None:
    """Makes of all states and transactions here what a release without a key had written; the texts are known."""
    for text in ("c", "s", "1", "2"):
        entity, old_entity = KEY.entities.digest(text), UNKEYED.entities.digest(text)
        identity, old_identity = KEY.transactions.digest(text), UNKEYED.transactions.digest(text)
        for name in [*redis.scan_iter()]:
            if name.endswith(entity):
                redis.rename(name, name.replace(entity, old_entity))
            if name.startswith(BLOCK):
                redis.set(name, cast("bytes", redis.get(name)).replace(entity, old_entity), keepttl=True)
            if name.startswith(KNOWN) and (noted := redis.hget(name, identity)):  # type: ignore[arg-type]
                redis.hset(name, old_identity, noted)  # type: ignore[arg-type]
                redis.hdel(name, identity)  # type: ignore[arg-type]
    redis.delete(KEY_CHECK)
