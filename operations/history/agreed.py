"""Whether Redis' digests are made with the HISTORY_KEY of this deployment: asked before anything is looked up there."""

from redis import Redis

from history.keyed_hash import ADOPT_KEY, HistoryKey
from operations.errors import OperationsError

REKEY = "run `fraud history rekey`"


def agree(redis: Redis, key: HistoryKey) -> None:
    """Goes on where they are; an empty Redis takes the key.

    Raises:
        OperationsError: they are not.
        RedisError: Redis does not answer.
    """
    found = standing(redis, key)
    if found == key.check:
        return
    if not found:
        raise OperationsError(f"what Redis remembers was hashed by a release without HISTORY_KEY: {REKEY}")
    if b" " in found:
        raise OperationsError(f"what Redis remembers moves to another HISTORY_KEY: wait; if that was cut off, {REKEY}")
    raise OperationsError(
        f"what Redis remembers is of another HISTORY_KEY: set that one, or add the new one behind it and {REKEY}"
    )


def standing(redis: Redis, key: HistoryKey) -> bytes:
    """What stands in Redis of the key; nothing where it remembers transactions of a release without one."""
    found = redis.eval(ADOPT_KEY, 0, key.check)
    return found if isinstance(found, bytes) else b""
