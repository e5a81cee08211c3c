"""Connections of `fraud history` to Redis, and whether its digests are made with the HISTORY_KEY of this deployment."""

import contextlib
from collections.abc import Iterator

from redis import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from environment.redis_client import connect
from history.keyed_hash import ADOPT_KEY, HistoryKey
from operations.errors import OperationsError

TIMEOUT_SECONDS = 10.0
"""For one answer; a step of a load takes about 0.01 s."""
REKEY = "run `fraud history rekey`"
AGAIN = "What is loaded stays; the same command goes on behind it"


class Interrupted(OperationsError):
    """Redis was gone in the middle; the same command goes on."""


@contextlib.contextmanager
def connected(url: str) -> Iterator[Redis]:
    """A client of the Redis at this address.

    Raises:
        Interrupted: Redis does not answer, or is full.
    """
    try:
        with connect(url, TIMEOUT_SECONDS) as client:
            yield client
    except OutOfMemoryError:
        raise Interrupted(f"Redis is full: give it more memory (docs/runbook.md says how much). {AGAIN}") from None
    except (RedisError, OSError, ValueError) as error:
        raise Interrupted(f"Redis does not answer ({type(error).__name__}). {AGAIN}") from None


def require_key(redis: Redis, key: HistoryKey) -> None:
    """Returns where Redis' digests are made with this key; an empty Redis adopts it.

    Raises:
        OperationsError: they are made with another one.
        RedisError: Redis does not answer.
    """
    check = adopted_key(redis, key)
    if check == key.check:
        return
    if not check:
        raise OperationsError(f"what Redis remembers was hashed by a release without HISTORY_KEY: {REKEY}")
    if b" " in check:
        raise OperationsError(f"what Redis remembers moves to another HISTORY_KEY: wait; if that was cut off, {REKEY}")
    raise OperationsError(
        f"what Redis remembers is of another HISTORY_KEY: set that one, or add the new one behind it and {REKEY}"
    )


def adopted_key(redis: Redis, key: HistoryKey) -> bytes:
    """The key check that stands in Redis, which is this key's where it was empty; b"" of a release without a key."""
    check = redis.eval(ADOPT_KEY, 0, key.check)
    return check if isinstance(check, bytes) else b""
