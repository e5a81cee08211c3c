"""Coalescing: who goes on together, and that nobody's failure is another's."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.coalescing import Coalescer, CoalescingLimits, Outcome
from tests.timeouts import WAIT_SECONDS

REQUEST: ContextVar[str] = ContextVar("request", default="")


class Work:
    """What a coalescer runs: it answers an item with its tenfold, once it may.

    Attributes:
        batches: that were begun.
        allowed: clear while batches are held.
        most: batches that were worked on at a time.
    """

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.allowed = asyncio.Event()
        self.allowed.set()
        self.most = 0
        self._running = 0

    async def __call__(self, items: Sequence[int]) -> Sequence[Outcome[int]]:
        self.batches.append(list(items))
        self._running += 1
        self.most = max(self.most, self._running)
        await self.allowed.wait()
        self._running -= 1
        if 13 in items:
            raise ArithmeticError
        return [ValueError() if item < 0 else 10 * item for item in items]


def soon() -> float:
    """A deadline that only a failure meets."""
    return asyncio.get_running_loop().time() + WAIT_SECONDS


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a test in a loop of its own."""
    asyncio.run(test())


async def turns(count: int = 5) -> None:
    """Lets everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


def start(coalescer: Coalescer[int, int], items: Sequence[int], key: object = "") -> list[asyncio.Task[int]]:
    """A caller for each item."""
    return [asyncio.create_task(coalescer.submit(key, item, 1, soon())) for item in items]


def limits(max_in_flight: int, max_size: int, small_size: int = 100, large_seconds: float = 60.0) -> CoalescingLimits:
    """Without a size from which a batch is large."""
    return CoalescingLimits(max_in_flight, max_size, small_size, large_seconds, gather_seconds=0.001)


def test_what_comes_at_once_is_one_batch() -> None:
    """Callers of one turn of the loop go together, and each gets its own answer."""

    async def test() -> None:
        work = Work()
        assert await asyncio.gather(*start(Coalescer(work, limits(1, 10)), [1, 2, 3])) == [10, 20, 30]
        assert work.batches == [[1, 2, 3]]

    run(test)


def test_what_comes_meanwhile_goes_on_together() -> None:
    """While as many batches as may be are worked on, others wait, and are the next one in the order of their coming."""

    async def test() -> None:
        work = Work()
        work.allowed.clear()
        coalescer, callers = Coalescer(work, limits(2, 10)), []
        for item in range(5):
            callers += start(coalescer, [item])
            await turns()
        assert work.batches == [[0], [1]]
        work.allowed.set()
        assert await asyncio.gather(*callers) == [0, 10, 20, 30, 40]
        assert work.batches == [[0], [1], [2, 3, 4]]

    run(test)


def test_nothing_starts_beside_a_large_batch() -> None:
    """What comes meanwhile goes on together when the large one has ended, and whoever was answered may come along."""

    async def test() -> None:
        work = Work()
        work.allowed.clear()
        coalescer, callers = Coalescer(work, limits(2, 10, small_size=2)), []
        for items in ([1, 2, 3], [4, 5], [6]):
            callers += start(coalescer, items)
            await turns()
        assert work.batches == [[1, 2, 3]]
        work.allowed.set()
        await asyncio.gather(*callers[:3])
        callers += start(coalescer, [7])  # As a caller who has just been answered.
        await asyncio.gather(*callers)
        assert work.batches == [[1, 2, 3], [4, 5, 6, 7]]

    run(test)


def test_a_large_batch_that_takes_long_keeps_nobody_waiting() -> None:
    """After its time the next one starts beside it."""

    async def test() -> None:
        work = Work()
        work.allowed.clear()
        coalescer, callers = Coalescer(work, limits(2, 10, small_size=1, large_seconds=0.001)), []
        for items in ([1, 2], [3, 4]):
            callers += start(coalescer, items)
            await turns()
        while len(work.batches) < 2:
            await turns()
        work.allowed.set()
        assert await asyncio.gather(*callers) == [10, 20, 30, 40]

    run(test)


def test_keys_are_kept_apart() -> None:
    """Items of another key are another batch; those of one key pass by them."""

    async def test() -> None:
        work = Work()
        coalescer = Coalescer(work, limits(1, 10))
        callers = [*start(coalescer, [1]), *start(coalescer, [2], key=2), *start(coalescer, [3])]
        await asyncio.gather(*callers)
        assert work.batches == [[1, 3], [2]]

    run(test)


def test_a_batch_is_bounded() -> None:
    """By the sizes of its items in sum; a larger item goes by itself, in the next one."""

    async def test() -> None:
        work = Work()
        coalescer: Coalescer[int, int] = Coalescer(work, limits(1, 4))
        sizes = {1: 2, 2: 2, 3: 1, 4: 9, 5: 1}
        await asyncio.gather(*(coalescer.submit("", item, size, soon()) for item, size in sizes.items()))
        assert work.batches == [[1, 2], [3, 5], [4]]

    run(test)


def test_an_exception_is_its_callers_alone() -> None:
    """The others of the batch have their answers."""

    async def test() -> None:
        outcomes = await asyncio.gather(*start(Coalescer(Work(), limits(1, 10)), [1, -2, 3]), return_exceptions=True)
        assert [outcomes[0], type(outcomes[1]), outcomes[2]] == [10, ValueError, 30]

    run(test)


def test_a_batch_that_fails_ends_nothing() -> None:
    """All of it raise what it raised, and the next batch is worked on."""

    async def test() -> None:
        coalescer = Coalescer(Work(), limits(1, 2))
        outcomes = await asyncio.gather(*start(coalescer, [1, 13, 3]), return_exceptions=True)
        assert [*map(type, outcomes[:2]), outcomes[2]] == [ArithmeticError, ArithmeticError, 30]

    run(test)


def test_a_deadline_is_its_callers_alone() -> None:
    """Who waits no longer gets a TimeoutError while the batch goes on for the other."""

    async def test() -> None:
        work = Work()
        work.allowed.clear()
        coalescer: Coalescer[int, int] = Coalescer(work, limits(1, 10))
        late = asyncio.create_task(coalescer.submit("", 1, 1, asyncio.get_running_loop().time()))
        other = start(coalescer, [2])[0]
        with pytest.raises(TimeoutError):
            await late
        work.allowed.set()
        assert await other == 20

    run(test)


def test_a_cancelled_caller_cancels_no_other() -> None:
    """Neither while its batch is worked on, nor while it waits: then nothing is done for it."""

    async def test() -> None:
        work = Work()
        work.allowed.clear()
        coalescer = Coalescer(work, limits(1, 10))
        callers = start(coalescer, [1, 2])
        await turns()
        waiting = start(coalescer, [3, 4])
        await turns()
        callers[0].cancel()
        waiting[0].cancel()
        await turns()
        work.allowed.set()
        assert [await callers[1], await waiting[1]] == [20, 40]
        assert work.batches == [[1, 2], [4]]

    run(test)


def test_a_batch_belongs_to_no_request() -> None:
    """It runs in a context of its own, or its log lines would name the first caller's request."""

    async def test() -> None:
        seen = []

        async def work(items: Sequence[int]) -> Sequence[int]:
            seen.append(REQUEST.get())
            return items

        REQUEST.set("a caller's")
        await Coalescer(work, limits(1, 10)).submit("", 1, 1, soon())
        assert seen == [""]

    run(test)


def test_closing_waits_for_what_is_worked_on() -> None:
    """Whoever submitted has his answer before the collaborators are closed."""

    async def test() -> None:
        work = Work()
        work.allowed.clear()
        coalescer = Coalescer(work, limits(1, 1))
        callers = start(coalescer, [1, 2])
        await turns()
        closing = asyncio.create_task(coalescer.close())
        await turns()
        assert not closing.done()
        work.allowed.set()
        await closing
        assert [caller.result() for caller in callers if caller.done()] == [10, 20]

    run(test)


@given(
    callers=st.lists(st.tuples(st.integers(-3, 12), st.integers(0, 2), st.integers(1, 4), st.integers(0, 4))),
    in_flight=st.integers(1, 3),
    small_size=st.integers(0, 4),
)
def test_every_caller_has_its_own_outcome(
    callers: list[tuple[int, int, int, int]], in_flight: int, small_size: int
) -> None:
    """Whoever comes when, with whatever key and size; and no batch mixes keys or grows over the bound."""

    async def test() -> None:
        work, waits = Work(), list[Coroutine[Any, Any, int]]()
        coalescer: Coalescer[int, int] = Coalescer(work, limits(in_flight, 4, small_size))

        async def caller(item: int, key: int, size: int, wait: int) -> int:
            await turns(wait)
            return await coalescer.submit(key, item, size, soon())

        waits = [caller(*each) for each in callers]
        outcomes = await asyncio.gather(*waits, return_exceptions=True)
        for (item, _, _, _), outcome in zip(callers, outcomes, strict=True):
            assert isinstance(outcome, ValueError) if item < 0 else outcome == 10 * item
        assert sorted(item for batch in work.batches for item in batch) == sorted(item for item, *_ in callers)
        assert work.most <= in_flight

    run(test)
