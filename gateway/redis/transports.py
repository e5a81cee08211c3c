"""How transactions get to Redis: small batches over the event loop, large ones over threads, behind one breaker."""

from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from redis import Redis

from environment import redis_client
from gateway.background import running
from gateway.redis.circuit_breaker import CircuitBreaker
from gateway.redis.connection import connect_redis
from gateway.redis.connection_pool import ScriptConnectionPool
from history.keyed_hash import HistoryKey


@dataclass(frozen=True, slots=True)
class RedisTransports:
    """The two transports to one Redis, and the circuit breaker before both.

    Attributes:
        pool: connections of the event loop, for small batches.
        blocking: a client for large batches, each of which a thread waits on.
        threads: run large batches and nothing else: while Redis hangs they hang, until the client's timeout.
        breaker: open while Redis does not answer; then neither transport is used.
        key: what the digests in this Redis must be made with; else Redis refuses every call.
    """

    pool: ScriptConnectionPool
    blocking: Redis
    threads: Executor
    breaker: CircuitBreaker
    key: HistoryKey


@asynccontextmanager
async def open_transports(
    url: str, threads: int, timeout_seconds: float, key: HistoryKey
) -> AsyncIterator[RedisTransports]:
    """Both transports to the Redis at this address, closed at the end.

    Args:
        url: of Redis.
        threads: large batches at a time.
        timeout_seconds: without an answer, after which Redis counts as gone.
        key: what ids and entities are hashed with.
    """
    with ThreadPoolExecutor(threads, "redis") as executor, redis_client.connect(url, timeout_seconds) as client:
        async with aclosing(ScriptConnectionPool(connect_redis(url, None), timeout_seconds)) as pool:
            breaker = CircuitBreaker(pool.ping)
            async with running(breaker.probe_periodically):
                yield RedisTransports(pool, client, executor, breaker, key)
