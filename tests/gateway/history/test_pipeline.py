"""The pipeline with a real Valkey: every reply is its own command's, and failures are told."""

import os
import signal
from collections.abc import Iterator, Sequence

import pytest
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from gateway.history.pipeline import BatchPipeline
from history.keyed_hash import KEY_CHECK, REFUSED, UNKEYED, HistoryKey
from history.session import BatchSession, HistoryOptions
from tests.gateway.trials import Valkey
from tests.history.test_evaluation import plan_of, row, table_of
from tests.history.test_session import COUNT
from tests.keys import KEY

ECHO = "return ARGV[1]"


@pytest.fixture
def redis(server: Valkey) -> Iterator[Redis]:
    """A client of its own."""
    with Redis.from_url(server.url, socket_timeout=1.0) as client:
        client.flushall()
        yield client


def test_replies_come_in_the_order_of_the_calls(redis: Redis) -> None:
    """However many there are."""
    assert BatchPipeline(redis).scripts(ECHO, [(str(number),) for number in range(200)]) == [
        str(number).encode() for number in range(200)
    ]


def test_a_script_that_redis_forgot_is_sent_again(redis: Redis) -> None:
    """As after a restart."""
    pipeline = BatchPipeline(redis)
    pipeline.scripts(ECHO, [("a",)])
    redis.script_flush()
    assert pipeline.scripts(ECHO, [("b",), ("c",)]) == [b"b", b"c"]


def test_a_refusal_is_raised_and_the_connection_stays_in_step(redis: Redis) -> None:
    """The replies after it have been read."""
    pipeline = BatchPipeline(redis)
    with pytest.raises(ResponseError):
        pipeline.scripts("return redis.call(ARGV[1])", [("NONSENSE",), ("TIME",)])
    assert pipeline.scripts(ECHO, [("a",)]) == [b"a"]


def test_a_redis_that_hangs_is_given_up(redis: Redis, server: Valkey) -> None:
    """After the client's timeout; when it goes on, the next call has its own reply."""
    pipeline = BatchPipeline(redis)
    pipeline.scripts(ECHO, [("a",)])
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises((RedisError, OSError)):
            pipeline.scripts(ECHO, [("late",)])
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert pipeline.scripts(ECHO, [("b",)]) == [b"b"]


def test_nothing_is_claimed_that_could_not_be_booked(redis: Redis) -> None:
    """Nobody would find it: neither would it count nor expire."""
    redis.set("fraud:due", "of another type")
    session = batch(1_200)
    with pytest.raises(ResponseError):
        BatchPipeline(redis).enter(session)
    assert redis.keys() == [b"fraud:due"]


def test_a_failure_between_commands_leaves_no_replies_to_others(redis: Redis) -> None:
    """The connection is not used again."""

    def failing() -> Iterator[bytes]:
        yield b"*2\r\n$4\r\nECHO\r\n$5\r\nSTALE\r\n"
        raise MemoryError

    session = batch(1_200)
    session.claim_commands = failing  # type: ignore[method-assign]
    with pytest.raises(MemoryError):
        BatchPipeline(redis).enter(session)
    assert BatchPipeline(redis).scripts(ECHO, [("a",)]) == [b"a"]


def test_a_redis_that_is_emptied_after_a_batch_was_booked_is_left_empty(redis: Redis) -> None:
    """What enters without a key would pass for what a release without one wrote: no gateway would use it any more."""
    redis.set(KEY_CHECK, KEY.check)
    session = batch(1_200, KEY)
    claims = session.claim_commands

    def emptied() -> Iterator[bytes]:
        redis.flushall()
        yield from claims()

    session.claim_commands = emptied  # type: ignore[method-assign]
    with pytest.raises(ResponseError, match=REFUSED):
        BatchPipeline(redis, KEY).enter(session)
    assert redis.keys() == []


def batch(rows: int, key: HistoryKey = UNKEYED) -> BatchSession:
    """Transactions of one card."""
    some = [row(float(second), name=str(second)) for second in range(rows)]
    return BatchSession(
        plan_of((COUNT,)), table_of(some), [each.id for each in some], HistoryOptions(True, 100, 100, key), 0.0
    )


def test_a_large_batch_enters_and_its_repeat_does_not(redis: Redis) -> None:
    """Through claims and journals."""
    result = []
    for _ in range(2):
        session = batch(1_200)
        pipeline = BatchPipeline(redis)
        session.receive_states(pipeline.read(session))
        pipeline.enter(session)
        result.append((session.entered_count, session.repeats))
    assert result == [(1_200, 0), (0, 1_200)]


def test_a_batch_that_is_prepared_enters_as_any_other(redis: Redis) -> None:
    """What is computed before it is due is what would be sent, also where some of the rows are known already."""
    results = []
    for prepares in (False, True):
        redis.flushall()
        for rows in (700, 1_200):
            session, pipeline = batch(rows), BatchPipeline(redis)
            if prepares:
                session.prepare()
            session.receive_states(pipeline.read(session))
            values = session.values()
            if prepares:
                session.prepare_values(values)
                prepare_while_claiming(session)
            pipeline.enter(session)
            stored = session.store_arguments(values)[1:]
            states = {key: redis.get(key) for key in redis.scan_iter("fraud:h:*")}
            results.append((session.entered_count, session.repeats, stored, states))
    assert results[:2] == results[2:]
    assert [each[:2] for each in results[:2]] == [(700, 0), (500, 700)]


def prepare_while_claiming(session: BatchSession) -> None:
    """Has what is appended computed after the claims were sent and before their replies are known."""
    receive = session.receive_claims

    def prepared(replies: Sequence[int]) -> None:
        session.prepare_appending()
        receive(replies)

    session.receive_claims = prepared  # type: ignore[method-assign]


def test_calls_that_were_prepared_too_late_are_not_sent(redis: Redis) -> None:
    """Redis was quicker than what prepares them: they are of journals that have been applied."""
    session, pipeline = batch(1_200), BatchPipeline(redis)
    session.receive_states(pipeline.read(session))
    session.prepare()
    pipeline.enter(session)
    session.prepare_appending()
    assert session.apply_calls() == []
    assert session.entered_count == 1_200
