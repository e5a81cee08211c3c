"""Reading the gateways' counts, from a real Valkey."""

from collections.abc import Mapping

import pytest

from operations.rollout.trial_counts import RedisUnavailable, read_trial_counts
from releases.record import Trial, TrialKind
from releases.trial_counts import trial_key
from tests.valkey import Valkey

TRIAL = Trial(TrialKind.CANARY, 2, 0.05, "2026-01-01T00:00:00+00:00")


def write(valkey: Valkey, gateway: str, counts: Mapping[str, int]) -> None:
    """Puts a gateway's totals where it puts them itself."""
    client = valkey.client()
    client.sadd(trial_key(TRIAL), gateway)
    client.hset(f"{trial_key(TRIAL)}:{gateway}", mapping=dict(counts))
    client.close()


def test_gateways_are_added_up(valkey: Valkey) -> None:
    """Two gateways' totals are one tally."""
    write(valkey, "a", {"live:requests": 2, "trial:errors": 1})
    write(valkey, "b", {"live:requests": 3})
    assert read_trial_counts(valkey.url, TRIAL).counts == {"live:requests": 5, "trial:errors": 1}


def test_a_trial_that_nobody_counts_yet_is_empty(valkey: Valkey) -> None:
    """Before the first request there is nothing, and that is no error."""
    assert not read_trial_counts(valkey.url, TRIAL).counts


def test_a_redis_that_is_gone_is_told(valkey: Valkey) -> None:
    """Without an answer nobody knows how the trial does."""
    valkey.kill()
    with pytest.raises(RedisUnavailable, match="pauses"):
        read_trial_counts(valkey.url, TRIAL)


def test_something_else_under_the_key_is_told(valkey: Valkey) -> None:
    """What is no count is no reason for a traceback."""
    write(valkey, "a", {"live:requests": 2})
    client = valkey.client()
    client.hset(f"{trial_key(TRIAL)}:a", mapping={"live:requests": "many"})
    with pytest.raises(RedisUnavailable):
        read_trial_counts(valkey.url, TRIAL)
    client.delete(trial_key(TRIAL))
    client.set(trial_key(TRIAL), "text")
    client.close()
    with pytest.raises(RedisUnavailable):
        read_trial_counts(valkey.url, TRIAL)


def test_what_is_no_address_is_told() -> None:
    """A setting that is wrong ends no command with a traceback, and its password is not shown."""
    with pytest.raises(RedisUnavailable) as refused:
        read_trial_counts("localhost:6379?password=secret", TRIAL)
    assert "secret" not in str(refused.value)
