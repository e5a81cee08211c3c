"""So many bytes for all bodies together, and who makes room."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http import byte_budget
from gateway.http.byte_budget import ByteBudget, Reservation, TransferLimits
from gateway.http.problems import Busy

FAST = TransferLimits(seconds=60, stall_seconds=0.05, least_rate=1e3)
SLOW = TransferLimits(seconds=60, stall_seconds=60, least_rate=1e3)


async def stall(reservation: Reservation, size: int, limits: TransferLimits) -> None:
    """Takes so many bytes and then nothing ever moves."""
    async with reservation.transfer(limits):
        await reservation.acquire(size)
        await asyncio.Event().wait()


@pytest.mark.anyio
async def test_what_does_not_fit_waits_until_it_is_busy() -> None:
    """Over the total nothing is given, and what is given back is given again."""
    budget = ByteBudget(100, wait_seconds=0.02)
    with budget.reserve() as first, budget.reserve() as second:
        await first.acquire(60)
        with pytest.raises(Busy):
            await second.acquire(50)
        first.release(20)
        await second.acquire(50)


@pytest.mark.anyio
async def test_the_oldest_always_completes() -> None:
    """However much the others hold, and however large it is: so all do, one after the other."""
    budget = ByteBudget(100, wait_seconds=5)
    with budget.reserve() as first:
        await first.acquire(60)
        with budget.reserve() as second:
            await second.acquire(40)
            await first.acquire(500)
            waiting = asyncio.create_task(second.acquire(40))
            await asyncio.sleep(0)
            first.release(560)
            await waiting
            assert second.held == 80


@pytest.mark.anyio
async def test_the_number_of_holders_is_bounded() -> None:
    """There may be fewer places than bytes."""
    budget = ByteBudget(100, wait_seconds=0.01, max_holders=1)
    with budget.reserve() as first, budget.reserve() as second:
        await first.acquire(1)
        with pytest.raises(Busy):
            await second.acquire(1)


@pytest.mark.anyio
async def test_a_stalled_transfer_is_ended() -> None:
    """A body of which nothing comes is given up, though there is room for all."""
    with ByteBudget(100, wait_seconds=5).reserve() as reservation, pytest.raises(TimeoutError):
        await stall(reservation, 1, FAST)


@pytest.mark.anyio
async def test_a_burst_extends_no_deadline() -> None:
    """Who sent much must go on at the rate at which it would be through in time."""

    async def burst_and_drip(reservation: Reservation) -> None:
        async with reservation.transfer(FAST):
            await reservation.acquire(6_000_000)
            while True:  # 10 kB/s: ten times the least rate, and a tenth of what 6 MB in a minute need.
                await asyncio.sleep(0.005)
                reservation.progressed(50)

    with ByteBudget(10_000_000, wait_seconds=5).reserve() as reservation, pytest.raises(TimeoutError):
        await burst_and_drip(reservation)


@pytest.mark.anyio
async def test_the_slowest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bytes are short, who has fallen behind is ended for those that move; others stay."""
    monkeypatch.setattr(byte_budget, "SLOW_LAG_SECONDS", 0.01)
    budget = ByteBudget(100, wait_seconds=5)
    with budget.reserve() as first, budget.reserve() as second:
        await first.acquire(50)

        async def slow() -> None:
            with budget.reserve() as reservation, pytest.raises(TimeoutError):
                await stall(reservation, 50, SLOW)

        standing = asyncio.create_task(slow())
        await asyncio.sleep(0)
        await second.acquire(50)
        await standing
        assert first.held == second.held == 50


@pytest.mark.anyio
async def test_few_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of those that wait are held by the server and counted by nobody."""
    monkeypatch.setattr(byte_budget, "MAX_WAITING", 0)
    budget = ByteBudget(100, wait_seconds=60)
    with budget.reserve() as first, budget.reserve() as second:
        await first.acquire(100)
        with pytest.raises(Busy):
            await second.acquire(1)


@given(st.lists(st.lists(st.integers(1, 60), max_size=6), max_size=8), st.integers(1, 100))
@pytest.mark.anyio
async def test_the_sum_is_bounded_and_nothing_is_lost(bodies: list[list[int]], total: int) -> None:
    """All bodies come through or are told that it is busy, at most one is over the total, and all is given back."""
    budget = ByteBudget(total, wait_seconds=0.005)
    held: dict[Reservation, int] = {}

    async def body(sizes: list[int]) -> None:
        with budget.reserve() as reservation:
            try:
                for size in sizes:
                    await reservation.acquire(size)
                    held[reservation] = reservation.held
                    largest = max(held.values())
                    assert sum(held.values()) <= max(total, total + largest)
                    await asyncio.sleep(0)
            except Busy:
                pass
            finally:
                held.pop(reservation, None)

    await asyncio.gather(*map(body, bodies))
    with budget.reserve() as whole, budget.reserve() as more:
        assert budget.try_acquire(whole, total)
        assert not budget.try_acquire(more, 1)
