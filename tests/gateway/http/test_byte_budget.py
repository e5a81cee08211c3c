"""So many bytes for all bodies together, and who makes room."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http import byte_budget
from gateway.http.byte_budget import ByteBudget, Pace, Share
from gateway.http.problems import Busy

QUICK = Pace(seconds=60, stall_seconds=0.05, least_rate=1e3)
PATIENT = Pace(seconds=60, stall_seconds=60, least_rate=1e3)


async def stand(share: Share, size: int, pace: Pace) -> None:
    """Takes so many bytes and then nothing ever moves."""
    async with share.moving(pace):
        await share.take(size)
        await asyncio.Event().wait()


@pytest.mark.anyio
async def test_what_does_not_fit_waits_and_is_busy() -> None:
    """Over the total nothing is given, and what is given back is given again."""
    budget = ByteBudget(100, wait_seconds=0.02)
    with budget.share() as first, budget.share() as second:
        await first.take(60)
        with pytest.raises(Busy):
            await second.take(50)
        first.give(20)
        await second.take(50)


@pytest.mark.anyio
async def test_the_oldest_always_comes_through() -> None:
    """However much the others hold, and however large it is: so all do, one after the other."""
    budget = ByteBudget(100, wait_seconds=5)
    with budget.share() as first:
        await first.take(60)
        with budget.share() as second:
            await second.take(40)
            await first.take(500)
            waiting = asyncio.create_task(second.take(40))
            await asyncio.sleep(0)
            first.give(560)
            await waiting
            assert second.held == 80


@pytest.mark.anyio
async def test_only_so_many_hold_some() -> None:
    """There may be fewer places than bytes."""
    budget = ByteBudget(100, wait_seconds=0.01, places=1)
    with budget.share() as first, budget.share() as second:
        await first.take(1)
        with pytest.raises(Busy):
            await second.take(1)


@pytest.mark.anyio
async def test_what_stands_still_is_ended() -> None:
    """A body of which nothing comes is given up, though there is room for all."""
    with ByteBudget(100, wait_seconds=5).share() as share, pytest.raises(TimeoutError):
        await stand(share, 1, QUICK)


@pytest.mark.anyio
async def test_a_burst_buys_no_time() -> None:
    """Who sent much must go on at the rate at which it would be through in time."""

    async def burst_and_drip(share: Share) -> None:
        async with share.moving(QUICK):
            await share.take(6_000_000)
            while True:  # 10 kB/s: ten times the least rate, and a tenth of what 6 MB in a minute need.
                await asyncio.sleep(0.005)
                share.moved(50)

    with ByteBudget(10_000_000, wait_seconds=5).share() as share, pytest.raises(TimeoutError):
        await burst_and_drip(share)


@pytest.mark.anyio
async def test_the_slowest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bytes are short, who has fallen behind is ended for those that move; others stay."""
    monkeypatch.setattr(byte_budget, "SLOW_SECONDS", 0.01)
    budget = ByteBudget(100, wait_seconds=5)
    with budget.share() as first, budget.share() as second:
        await first.take(50)

        async def slow() -> None:
            with budget.share() as share, pytest.raises(TimeoutError):
                await stand(share, 50, PATIENT)

        standing = asyncio.create_task(slow())
        await asyncio.sleep(0)
        await second.take(50)
        await standing
        assert first.held == second.held == 50


@pytest.mark.anyio
async def test_few_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of those that wait are held by the server and counted by nobody."""
    monkeypatch.setattr(byte_budget, "MOST_WAITING", 0)
    budget = ByteBudget(100, wait_seconds=60)
    with budget.share() as first, budget.share() as second:
        await first.take(100)
        with pytest.raises(Busy):
            await second.take(1)


@given(st.lists(st.lists(st.integers(1, 60), max_size=6), max_size=8), st.integers(1, 100))
@pytest.mark.anyio
async def test_the_sum_is_bounded_and_nothing_is_lost(bodies: list[list[int]], total: int) -> None:
    """All bodies come through or are told that it is busy, at most one is over the total, and all is given back."""
    budget = ByteBudget(total, wait_seconds=0.005)
    held: dict[Share, int] = {}

    async def body(sizes: list[int]) -> None:
        with budget.share() as share:
            try:
                for size in sizes:
                    await share.take(size)
                    held[share] = share.held
                    largest = max(held.values())
                    assert sum(held.values()) <= max(total, total + largest)
                    await asyncio.sleep(0)
            except Busy:
                pass
            finally:
                held.pop(share, None)

    await asyncio.gather(*map(body, bodies))
    with budget.share() as whole, budget.share() as more:
        assert budget.take_now(whole, total)
        assert not budget.take_now(more, 1)
