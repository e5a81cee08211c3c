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
    NAME_BYTES,
    RECOVER,
    REGISTER,
    claim_command,
    encode_journal,
    register_arguments,
)
from history.keyed_hash import UNKEYED
from history.redis_schema import STATE, TRANSACTION

NAME, KEY = b"n" * NAME_BYTES, b"k" * 24
EXPIRE = 1_000_000
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


def written(ids: list[bytes], records: list[bytes], keep: int = 100) -> bytes:
    """A journal of these transactions that appends records to one state."""
    return encode_journal(keep, EXPIRE, voids(ids), [(voids([KEY] * len(records)), voids(records))])


def recorded(redis: Redis, ids: list[bytes], name: bytes = NAME) -> object:
    """Claims transactions; 1 where they were not known."""
    records = [bytes([place]) * 7 for place in range(len(ids))]
    run(redis, REGISTER, *register_arguments([name], 0.0))
    return sent(redis, claim_command(UNKEYED, name, written(ids, records), voids(ids), voids(records)))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=IDS, known=st.integers(0, 10))
def test_a_claim_notes_all_or_nothing(server: Redis, ids: list[bytes], known: int) -> None:
    """Where one is known, neither the others nor the journal are there."""
    server.flushall()
    before = [TRANSACTION + each for each in ids[known : known + 1]]
    for key in before:
        server.set(key, b"known")
    entered = recorded(server, ids)
    assert entered == (0 if before else 1)
    result = server.mget([TRANSACTION + each for each in ids])
    records = [bytes([place]) * 7 for place in range(len(ids))]
    assert result == ([b"known" if TRANSACTION + each in before else None for each in ids] if before else records)
    assert server.exists(JOURNAL + NAME) == entered


def test_a_journal_is_applied_once(redis: Redis) -> None:
    """By its own gateway, which says what it comes to; a second time, and by RECOVER, it is not."""
    recorded(redis, [b"a" * 16, b"b" * 16])
    arguments = (NAME, KEY, struct.pack("<I", 2), b"ab", EXPIRE, NOW)
    assert [run(redis, APPLY, *arguments) for _ in range(2)] == [1, 0]
    redis.zadd(DUE, {NAME: 0})
    assert [run(redis, RECOVER, NOW) for _ in range(2)] == [1, 0]
    assert redis.get(STATE + KEY) == b"ab"


def test_journals_are_applied_together_or_not_at_all(redis: Redis) -> None:
    """One of which somebody has taken care keeps the others from it."""
    other = b"o" * NAME_BYTES
    recorded(redis, [b"a" * 16])
    recorded(redis, [b"b" * 16], other)
    assert run(redis, RECOVER, NOW) == 1
    assert run(redis, APPLY, NAME + other, KEY, struct.pack("<I", 2), b"ab", EXPIRE, NOW) == 0
    assert redis.strlen(STATE + KEY) == 7


def test_an_abandoned_journal_is_recovered(redis: Redis) -> None:
    """Its rows are counted, its transactions and the state expire, and nothing of it is left."""
    recorded(redis, [b"a" * 16, b"b" * 16])
    redis.zadd(DUE, {NAME: 0})
    run(redis, RECOVER, NOW)
    assert redis.get(STATE + KEY) == b"\0" * 7 + b"\1" * 7
    assert 0 < seconds_left(redis, STATE + KEY) <= EXPIRE
    assert all(0 < seconds_left(redis, TRANSACTION + each * 16) <= 100 for each in (b"a", b"b"))
    assert not redis.exists(JOURNAL + NAME, DUE)


def test_a_journal_is_left_to_its_gateway_for_a_while(redis: Redis) -> None:
    """RECOVER does not take what has just been claimed."""
    run(redis, REGISTER, *register_arguments([NAME], float(NOW)))
    assert [run(redis, RECOVER, NOW + later) for later in (0, 4, 5)] == [0, 0, 1]


def test_a_claim_that_comes_after_its_journal_was_looked_for_is_refused(redis: Redis) -> None:
    """By a gateway whose clock is ahead: nobody would look for it again. Under another name it is taken."""
    run(redis, REGISTER, *register_arguments([NAME], float(NOW)))
    assert run(redis, RECOVER, NOW + 3_600) == 1
    assert recorded(redis, [b"a" * 16]) == 0
    assert not redis.exists(TRANSACTION + b"a" * 16)
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
    assert run(redis, APPLY, NAME, KEY + other, struct.pack("<II", 1, 1), b"ab", EXPIRE, NOW) == 2
    assert redis.get(STATE + other) == b"b"


def test_a_state_lives_on_when_it_is_appended_to(redis: Redis) -> None:
    """Its time is renewed where a day of it has passed."""
    redis.set(STATE + KEY, b"a", ex=EXPIRE - 86_401)
    recorded(redis, [b"a" * 16])
    run(redis, APPLY, NAME, KEY, struct.pack("<I", 1), b"b", EXPIRE, NOW)
    assert seconds_left(redis, STATE + KEY) > EXPIRE - 10
