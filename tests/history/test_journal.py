"""Claims and journals on a real Valkey: all or nothing, applied once."""

import struct
from typing import Any, cast

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.connection import Connection

from history.journal import (
    APPLY,
    DUE,
    JOURNAL,
    MAX_PARTS,
    NAME_BYTES,
    RECOVER,
    REGISTER,
    claim_command,
    encode_journal,
    register_arguments,
    state_parts,
)
from history.keyed_hash import UNKEYED
from history.known_ids import KNOWN, SLOT_SECONDS, SLOTS, TRANSACTION, noted
from history.redis_schema import BLOCK, STATE

NAME, KEY = b"n" * NAME_BYTES, b"k" * 24
BLOCK_ID = b"b" * 12
EXPIRE, KEEP = 1_000_000, 100
NOW = 1_000
IDS = st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=5, unique=True)


def voids(values: list[bytes]) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Bytes of one length as an array."""
    return np.frombuffer(b"".join(values), f"V{len(values[0])}")


def sent(redis: Redis, command: bytes) -> object:
    """What a command in Redis' own protocol is answered with."""
    connection: Connection = redis.connection_pool.get_connection()
    try:
        connection.send_packed_command([command])  # type: ignore[no-untyped-call]
        return connection.read_response()  # type: ignore[no-untyped-call]
    finally:
        redis.connection_pool.release(connection)


def run(redis: Redis, script: str, *arguments: Any) -> Any:  # noqa: ANN401 - a script's own
    """What a script returns."""
    return redis.eval(script, 0, *arguments)


def seconds_left(redis: Redis, key: bytes) -> int:
    """Until a key expires."""
    return cast("int", redis.ttl(key))


def registered(redis: Redis, now: float, name: bytes = NAME) -> None:
    """Registers a journal, and its block."""
    run(redis, REGISTER, *register_arguments([name], now, BLOCK_ID, b"block", KEEP))


def recorded(redis: Redis, ids: list[bytes], name: bytes = NAME, parts: int = 1) -> object:
    """Claims transactions that each append to one state; 1 where they were not known."""
    records = [bytes([place]) * 7 for place in range(len(ids))]
    registered(redis, 0.0, name)
    journal = encode_journal(EXPIRE, parts, [(voids([KEY] * len(ids)), voids(records))])
    return sent(
        redis, claim_command(UNKEYED, KEEP, (name, journal), (voids(ids), noted(BLOCK_ID, np.arange(len(ids)))))
    )


def known(redis: Redis) -> dict[bytes, bytes]:
    """What is noted of each id."""
    slots = redis.keys(KNOWN + b"*")
    return {each: where for slot in slots for each, where in redis.hgetall(slot).items()}  # type: ignore[union-attr]


def applied(  # noqa: PLR0913 - what APPLY takes
    redis: Redis, names: bytes, keys: bytes, data: list[bytes], *, part: int = 0, parts: int = 1
) -> object:
    """Applies a part of journals."""
    sizes = struct.pack(f"<{len(data)}I", *map(len, data))
    return run(redis, APPLY, names, part, parts, keys, sizes, b"".join(data), EXPIRE, NOW)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=IDS, at=st.integers(0, 10), old=st.booleans())
def test_a_claim_notes_all_or_nothing(server: Redis, ids: list[bytes], at: int, old: bool) -> None:
    """Where one is known, by this release or one before, neither the others nor the journal are there."""
    server.flushall()
    before = ids[at : at + 1]
    for each in before:
        if old:
            server.set(TRANSACTION + each, b"known")
        else:
            assert recorded(server, [each], b"o" * NAME_BYTES) == 1
    noted_before = known(server)
    entered = recorded(server, ids)
    assert entered == (0 if before else 1)
    assert known(server) == (noted_before if before else dict(zip(ids, whereabouts(len(ids)), strict=True)))
    assert server.exists(JOURNAL + NAME) == entered


def whereabouts(count: int) -> list[bytes]:
    """What is noted of the first rows of the block."""
    return [each.tobytes() for each in noted(BLOCK_ID, np.arange(count))]


def test_an_id_is_known_for_as_long_as_asked_and_a_slot_at_most_longer(redis: Redis) -> None:
    """All ids of a slot expire together, and its block not before them."""
    recorded(redis, [b"a" * 16, b"b" * 16])
    (slot,) = cast("list[bytes]", redis.keys(KNOWN + b"*"))
    assert KEEP - 10 <= seconds_left(redis, slot) <= KEEP + SLOT_SECONDS
    assert seconds_left(redis, BLOCK + BLOCK_ID) >= KEEP + SLOT_SECONDS - 10


def test_an_id_is_found_in_each_slot(redis: Redis) -> None:
    """Whenever it was noted: a claim with another one asks all of them."""
    recorded(redis, [b"a" * 16])
    (slot,) = cast("list[bytes]", redis.keys(KNOWN + b"*"))
    later = int(slot.removeprefix(KNOWN)) + 2
    redis.rename(slot, KNOWN + b"%d" % later)
    redis.zadd(SLOTS, {b"%d" % later: later})
    assert recorded(redis, [b"b" * 16, b"a" * 16], b"o" * NAME_BYTES) == 0
    assert recorded(redis, [b"b" * 16], b"p" * NAME_BYTES) == 1


def test_a_slot_that_has_expired_is_not_asked_any_more(redis: Redis) -> None:
    """It leaves the list of slots when the next one begins."""
    redis.zadd(SLOTS, {b"5": 5})
    recorded(redis, [b"a" * 16])
    assert redis.zrange(SLOTS, 0, -1) == [key.removeprefix(KNOWN) for key in redis.keys(KNOWN + b"*")]  # type: ignore[union-attr]


def test_a_journal_is_applied_once(redis: Redis) -> None:
    """By its own gateway, which says what it comes to; a second time, and by RECOVER, it is not."""
    recorded(redis, [b"a" * 16, b"b" * 16])
    assert [applied(redis, NAME, KEY, [b"ab"]) for _ in range(2)] == [1, 0]
    redis.zadd(DUE, {NAME: 0})
    assert [run(redis, RECOVER, NOW) for _ in range(2)] == [1, 0]
    assert redis.get(STATE + KEY) == b"ab"


def test_the_parts_of_a_journal_are_applied_in_turn(redis: Redis) -> None:
    """Each once, and none before the one before it."""
    recorded(redis, [b"a" * 16], parts=2)
    tries = [applied(redis, NAME, KEY, [b"x"], part=part, parts=2) for part in (1, 0, 0, 1, 1, 0)]
    assert tries == [0, 1, 0, 1, 0, 0]
    assert redis.get(STATE + KEY) == b"xx"


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entities=st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=8, unique=True), data=st.data())
def test_what_is_left_of_a_journal_is_recovered(server: Redis, entities: list[bytes], data: st.DataObject) -> None:
    """A gateway that died between two parts: each state has each record once, whoever appended it."""
    server.flushall()
    parts = data.draw(st.integers(1, MAX_PARTS))
    done = data.draw(st.integers(0, parts))
    keys = voids([b"l" * 8 + each for each in entities])
    records = voids([bytes([place]) for place in range(len(entities))])
    registered(server, 0.0)
    journal = encode_journal(EXPIRE, parts, [(keys, records)])
    assert sent(
        server, claim_command(UNKEYED, KEEP, (NAME, journal), (voids([b"a" * 16]), noted(BLOCK_ID, np.arange(1))))
    )
    for part in range(done):
        places = np.flatnonzero(state_parts(keys, parts) == part)
        assert (
            applied(server, NAME, keys[places].tobytes(), [bytes([place]) for place in places], part=part, parts=parts)
            == 1
        )
    server.zadd(DUE, {NAME: 0})
    assert run(server, RECOVER, NOW) == 1
    found = [server.get(STATE + key.tobytes()) for key in keys]
    assert found == [bytes([place]) for place in range(len(entities))]


def test_a_journal_of_the_release_before_is_recovered(redis: Redis) -> None:
    """Whether it was applied or not; its transactions, which have keys of their own, expire then."""
    for first, name in ((0, b"m"), (1, b"n")):
        rows = struct.pack("<II", 1, 7) + KEY + bytes([first]) * 7
        redis.set(TRANSACTION + name * 16, b"a record")
        redis.set(JOURNAL + name * NAME_BYTES, struct.pack("<BIII", first, KEEP, EXPIRE, 1) + name * 16 + rows)
        redis.zadd(DUE, {name * NAME_BYTES: 0})
    assert [run(redis, RECOVER, NOW) for _ in range(3)] == [1, 1, 0]
    assert redis.get(STATE + KEY) == b"\0" * 7
    assert all(0 < seconds_left(redis, TRANSACTION + name * 16) <= KEEP for name in (b"m", b"n"))
    assert not redis.keys(JOURNAL + b"*")


def test_journals_are_applied_together_or_not_at_all(redis: Redis) -> None:
    """One of which somebody has taken care keeps the others from it."""
    other = b"o" * NAME_BYTES
    recorded(redis, [b"a" * 16])
    recorded(redis, [b"b" * 16], other)
    assert run(redis, RECOVER, NOW) == 1
    assert applied(redis, NAME + other, KEY, [b"ab"]) == 0
    assert redis.strlen(STATE + KEY) == 7


def test_an_abandoned_journal_is_recovered(redis: Redis) -> None:
    """Its rows are counted, the state expires, and nothing of it is left."""
    recorded(redis, [b"a" * 16, b"b" * 16])
    redis.zadd(DUE, {NAME: 0})
    run(redis, RECOVER, NOW)
    assert redis.get(STATE + KEY) == b"\0" * 7 + b"\1" * 7
    assert 0 < seconds_left(redis, STATE + KEY) <= EXPIRE
    assert not redis.exists(JOURNAL + NAME, DUE)


def test_a_journal_is_left_to_its_gateway_for_a_while(redis: Redis) -> None:
    """RECOVER does not take what has just been claimed."""
    registered(redis, float(NOW))
    assert [run(redis, RECOVER, NOW + later) for later in (0, 4, 5)] == [0, 0, 1]


def test_a_claim_that_comes_after_its_journal_was_looked_for_is_refused(redis: Redis) -> None:
    """By a gateway whose clock is ahead: nobody would look for it again. Under another name it is taken."""
    registered(redis, float(NOW))
    assert run(redis, RECOVER, NOW + 3_600) == 1
    assert recorded(redis, [b"a" * 16]) == 0
    assert not known(redis)
    assert 0 < seconds_left(redis, JOURNAL + NAME) <= 3_600
    assert recorded(redis, [b"a" * 16], b"o" * NAME_BYTES) == 1


def test_a_damaged_journal_is_passed_over(redis: Redis) -> None:
    """It keeps nobody from the next one, and expires."""
    redis.set(JOURNAL + NAME, b"\0short")
    redis.zadd(DUE, {NAME: 0})
    assert [run(redis, RECOVER, NOW) for _ in range(2)] == [1, 0]
    assert seconds_left(redis, JOURNAL + NAME) > 0


def test_a_key_that_holds_no_state_is_passed_over(redis: Redis) -> None:
    """The other states are appended to; how many were passed over is told."""
    redis.rpush(STATE + KEY, "x")
    other = b"o" * 24
    recorded(redis, [b"a" * 16])
    assert applied(redis, NAME, KEY + other, [b"a", b"b"]) == 2
    assert redis.get(STATE + other) == b"b"


def test_a_state_lives_on_when_it_is_appended_to(redis: Redis) -> None:
    """Its time is renewed where a day of it has passed."""
    redis.set(STATE + KEY, b"a", ex=EXPIRE - 86_401)
    recorded(redis, [b"a" * 16])
    applied(redis, NAME, KEY, [b"b"])
    assert seconds_left(redis, STATE + KEY) > EXPIRE - 10
