"""What the gateways have counted of a trial, added up from Redis."""

from typing import cast

from redis.exceptions import RedisError

from environment.redis_client import connect
from operations.errors import OperationsError
from releases.record import Trial
from releases.trial_counts import TrialCounts, trial_key

TIMEOUT_SECONDS = 1.0


class RedisUnavailable(OperationsError):
    """Redis does not answer: a trial pauses until it does."""


def read_trial_counts(url: str, trial: Trial) -> TrialCounts:
    """The counts of all gateways.

    Raises:
        RedisUnavailable: it does not answer, or holds something else under the trial's key.
    """
    key = trial_key(trial)
    try:
        with connect(url, TIMEOUT_SECONDS, decode_responses=True) as redis:
            pipeline = redis.pipeline(transaction=False)
            for gateway in cast("set[str]", redis.smembers(key)):
                pipeline.hgetall(f"{key}:{gateway}")
            replies = pipeline.execute()
        return TrialCounts.total(TrialCounts({name: int(count) for name, count in each.items()}) for each in replies)
    except (RedisError, OSError, ValueError) as error:
        reason = type(error).__name__
        raise RedisUnavailable(f"Redis does not answer ({reason}): the trial pauses until it does") from None
