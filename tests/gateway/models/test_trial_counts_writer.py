"""A trial runs while its counts arrive in Redis."""

from dataclasses import replace

import pytest
from redis.asyncio import Redis

from gateway.models.trial_counts_writer import EXPIRY_SECONDS, TrialCountsWriter
from releases.trial_counts import TrialCounts, trial_key
from tests.gateway.trials import CANARY, Valkey


def unreadable_rows(rows: int) -> TrialCounts:
    """Counts of one request."""
    counts = TrialCounts()
    counts.unreadable(rows)
    return counts


@pytest.mark.anyio
async def test_gateways_write_beside_each_other(valkey: Valkey) -> None:
    """Each gateway's totals stand under a name of its own; a second write of the same totals changes nothing."""
    async with Redis.from_url(valkey.url) as client:
        one, other = TrialCountsWriter(client), TrialCountsWriter(client)
        for writer, count in [(one, 3), (other, 4)]:
            writer.follow(CANARY)
            writer.add(CANARY, unreadable_rows(count))
        for writer in (one, other, one):
            await writer.write()
    assert valkey.trial_counts(CANARY).counts == {"unreadable": 7}


@pytest.mark.anyio
async def test_what_is_written_expires(valkey: Valkey) -> None:
    """The set and the counts are forgotten after thirty days; their names hold no more than version, start and id."""
    async with Redis.from_url(valkey.url) as client:
        writer = TrialCountsWriter(client)
        writer.follow(CANARY)
        writer.add(CANARY, unreadable_rows(1))
        await writer.write()
    with valkey.client() as reader:
        keys = sorted(reader.keys())
        assert [0 < reader.ttl(key) <= EXPIRY_SECONDS for key in keys] == [True, True]
    assert keys[0] == trial_key(CANARY)
    assert len(keys[1]) == len(f"{trial_key(CANARY)}:") + 16


@pytest.mark.anyio
async def test_another_trial_counts_anew(valkey: Valkey) -> None:
    """What belongs to a trial that is over is left out, and a new one begins unproven."""
    async with Redis.from_url(valkey.url) as client:
        writer = TrialCountsWriter(client)
        writer.follow(CANARY)
        await writer.write()
        assert writer.pause_reason is None
        later = replace(CANARY, started="later")
        writer.follow(later)
        assert writer.pause_reason == "starting"
        writer.add(CANARY, unreadable_rows(1))
        await writer.write()
    assert valkey.trial_counts(later).counts == {}


@pytest.mark.anyio
async def test_one_lost_write_is_forgiven(valkey: Valkey) -> None:
    """A trial that ran pauses at the second write in a row that fails; one that never ran has not begun."""
    async with Redis.from_url(valkey.url, retry=None) as client:
        writer = TrialCountsWriter(client)
        writer.follow(CANARY)
        await writer.write()
        valkey.kill()
        await writer.write()
        assert writer.pause_reason is None
        await writer.write()
        assert writer.pause_reason == "redis_unavailable"
        writer.follow(replace(CANARY, started="later"))
        await writer.write()
        assert writer.pause_reason == "redis_unavailable"
        valkey.start()
        await writer.write()
        assert writer.pause_reason is None
