"""Coalescing: what waits while others are worked on goes on together, as one batch.

An item that comes to an idle coalescer starts in the same turn of the event loop, with whatever else came in that turn.
While batches are worked on, items collect, and the more there are, the less each costs. So the load itself decides how
large batches are. Small batches are worked on side by side, up to `max_in_flight`, since each mostly waits for others;
beside a large one, which has work for the processor all the time, nothing starts, unless it takes unusually long.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Outcome: TypeAlias = Result | Exception
"""What one item comes to: an exception is raised to its own caller alone."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[Item, Result]):
    key: Hashable
    item: Item
    size: int
    outcome: asyncio.Future[Result]


@dataclass(frozen=True, slots=True)
class CoalescingLimits:
    """How large batches may be, and how many are worked on at a time.

    Attributes:
        max_in_flight: batches at a time.
        max_size: of the items of a batch in sum; a single item may be larger.
        small_size: of a batch beside which another one may start at once.
        large_seconds: after which another one may start beside a large batch: what it waits for may hang.
        gather_seconds: from the end of a large batch to the start of the next one. Its callers are about to send again:
            without it those of one batch always miss the next one, and batches have half of all callers.
    """

    max_in_flight: int
    max_size: int
    small_size: int
    large_seconds: float
    gather_seconds: float


class Coalescer(Generic[Item, Result]):
    """Hands items of one key on in batches."""

    def __init__(
        self, run: Callable[[Sequence[Item]], Awaitable[Sequence[Outcome[Result]]]], limits: CoalescingLimits
    ) -> None:
        """Takes what works on a batch: it gets items of one key, and returns the outcome of each, in their order.

        What it raises all of them get.
        """
        self._run = run
        self._limits = limits
        self._queue = deque[_Waiting[Item, Result]]()
        self._in_flight = set[asyncio.Task[None]]()
        self._large: asyncio.TimerHandle | None = None
        self._is_start_due = False

    async def submit(self, key: Hashable, item: Item, size: int, deadline: float) -> Result:
        """The outcome of an item, which is worked on together with others of an equal key.

        A caller who is cancelled, or whose deadline passes, leaves the others as they are.

        Raises:
            TimeoutError: there was none until `deadline`, a time of the event loop.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Result] = loop.create_future()
        self._queue.append(_Waiting(key, item, size, outcome))
        self._start_soon()
        timer = loop.call_at(deadline, _expire, outcome)
        try:
            return await outcome
        finally:
            timer.cancel()

    async def close(self) -> None:
        """Waits for the batches in flight."""
        while self._in_flight:
            await asyncio.wait(self._in_flight)

    def _start_soon(self) -> None:
        """At the end of this turn of the loop: what else has arrived in it comes along."""
        if not self._is_start_due and self._has_room:
            self._is_start_due = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._is_start_due = False
        while self._has_room and (batch := self._take()):
            # In a context of its own: it belongs to no request, and neither do the lines that it logs.
            task = asyncio.get_running_loop().create_task(self._work(batch), context=Context())
            self._in_flight.add(task)
            task.add_done_callback(self._ended)
            if sum(waiting.size for waiting in batch) > self._limits.small_size:
                self._hold(task)

    @property
    def _has_room(self) -> bool:
        return self._large is None and len(self._in_flight) < self._limits.max_in_flight

    def _hold(self, task: asyncio.Task[None]) -> None:
        """Starts nothing beside a large batch until it has ended and its callers may have sent again, or takes long."""
        loop = asyncio.get_running_loop()
        timer = self._large = loop.call_later(self._limits.large_seconds, self._release)

        def ended(_: asyncio.Task[None]) -> None:
            if self._large is timer:
                timer.cancel()
                self._large = loop.call_later(self._limits.gather_seconds, self._release)

        task.add_done_callback(ended)

    def _release(self) -> None:
        self._large = None
        if self._queue:
            self._start_soon()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if self._queue:
            self._start_soon()

    def _take(self) -> list[_Waiting[Item, Result]]:
        """The next batch: the oldest item and those of its key, as many as fit; the others keep their order."""
        batch: list[_Waiting[Item, Result]] = []
        others, size = deque[_Waiting[Item, Result]](), 0
        for waiting in self._queue:
            if waiting.outcome.done():  # Its caller has left.
                continue
            if not batch or (waiting.key == batch[0].key and size + waiting.size <= self._limits.max_size):
                batch.append(waiting)
                size += waiting.size
            else:
                others.append(waiting)
        self._queue = others
        return batch

    async def _work(self, batch: Sequence[_Waiting[Item, Result]]) -> None:
        try:
            outcomes = await self._run([waiting.item for waiting in batch])
        except asyncio.CancelledError:
            for waiting in batch:
                waiting.outcome.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - each caller raises it, where it is logged and answered
            outcomes = [error] * len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.outcome.done():
                continue
            if isinstance(outcome, Exception):
                waiting.outcome.set_exception(outcome)
            else:
                waiting.outcome.set_result(outcome)


def _expire(outcome: asyncio.Future[Result]) -> None:
    if not outcome.done():
        outcome.set_exception(TimeoutError())
