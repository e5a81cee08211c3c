"""A budget of memory in bytes, shared by all request bodies (or all large responses) of the process.

A body counts by the bytes that have arrived: a thousand callers who send nothing hold nothing. Each must progress at a
minimum rate. Where the budget is exhausted, transfers that lag behind it are ended first; only then does anybody wait.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from gateway.http.problems import Busy

SLOW_LAG_SECONDS = 1.0
"""A transfer that lags further than this behind its rate is ended where others need its bytes."""
POLL_SECONDS = 0.1
"""How often a waiting reservation checks whether a transfer has become slow."""
MAX_WAITING = 256
"""Reservations that wait at a time: each holds some 100 kB that the server had read already and nobody counts."""


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """How fast a body must be received, or a response be read.

    Attributes:
        seconds: for the whole transfer.
        stall_seconds: without a byte; at most this much can be saved up by being faster than the rate.
        least_rate: bytes a second; a transfer that holds much must keep the rate that ends it within `seconds`.
    """

    seconds: float
    stall_seconds: float
    least_rate: float


NO_LIMITS = TransferLimits(0.0, 0.0, 0.0)


class Reservation:
    """The bytes that one transfer holds of a budget.

    Attributes:
        held: bytes.
        exempt: it waits for the budget, or is being ended: it does not lag.
    """

    def __init__(self, budget: "ByteBudget") -> None:
        self._budget = budget
        self._timeout: asyncio.Timeout | None = None
        self._limits = NO_LIMITS
        self._deadline = self._stall_deadline = 0.0
        self.held = 0
        self.exempt = False

    def __enter__(self) -> Self:
        """Holds nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Releases all that it holds."""
        self._budget.release(self, self.held)

    @asynccontextmanager
    async def transfer(self, limits: TransferLimits) -> AsyncIterator[None]:
        """Holds the transfer inside to its limits.

        Raises:
            TimeoutError: it was slower than its limits allow, or the slowest while others needed its bytes.
        """
        now = asyncio.get_running_loop().time()
        self._limits, self._deadline, self._stall_deadline = limits, now + limits.seconds, now + limits.stall_seconds
        async with asyncio.timeout_at(min(self._stall_deadline, self._deadline)) as self._timeout:
            self._budget.transfers.add(self)
            try:
                yield
            finally:
                self._budget.transfers.discard(self)

    async def acquire(self, size: int) -> None:
        """Holds `size` bytes more; the time that it waits for them counts towards no limit but the whole transfer's.

        Raises:
            Busy: they did not come free in time.
        """
        if self._budget.try_acquire(self, size):
            return
        began = asyncio.get_running_loop().time()
        self._reschedule(self._deadline)
        self.exempt = True
        try:
            await self._budget.wait(self, size)
        finally:
            self.exempt = False
            self._stall_deadline += asyncio.get_running_loop().time() - began
            self._reschedule(min(self._stall_deadline, self._deadline))

    def progressed(self, size: int) -> None:
        """Extends the stall deadline for `size` bytes that were received or sent just now."""
        limits, now = self._limits, asyncio.get_running_loop().time()
        rate = max(limits.least_rate, self.held / limits.seconds)
        self._stall_deadline = min(now + limits.stall_seconds, self._stall_deadline + size / rate)
        self._reschedule(min(self._stall_deadline, self._deadline))

    def release(self, size: int) -> None:
        """Holds `size` bytes less."""
        self._budget.release(self, size)

    def end(self) -> None:
        """Ends the transfer, for others."""
        self.exempt = True  # Once is enough: it no longer counts as slow.
        self._reschedule(0.0)

    def lag(self, now: float) -> float:
        """Seconds by which it lags behind its rate; 0 for one that waits for the budget itself."""
        return 0.0 if self.exempt else now + self._limits.stall_seconds - self._stall_deadline

    def _reschedule(self, deadline: float) -> None:
        """Does nothing where the time is over already: the transfer is ending."""
        if self._timeout and not self._timeout.expired():
            self._timeout.reschedule(deadline)


class ByteBudget:
    """Bytes that transfers share; `transfers` are the reservations whose transfer is under way."""

    def __init__(self, total: int, wait_seconds: float, max_holders: int = sys.maxsize) -> None:
        """Takes the number of bytes, for how long they may be waited for, and how many may hold some at a time."""
        self._total = total
        self._max_holders = max_holders
        self._wait_seconds = wait_seconds
        self._used = 0
        self._holders: dict[Reservation, None] = {}
        self._queue: dict[Reservation, tuple[int, asyncio.Future[None]]] = {}
        self.transfers: set[Reservation] = set()

    def reserve(self) -> Reservation:
        """A reservation, empty at first; what it holds is released at the end of the context that it is."""
        return Reservation(self)

    def try_acquire(self, reservation: Reservation, size: int) -> bool:
        """Grants `size` bytes if they are free and nobody waits for them.

        The oldest holder may exceed the total: so one transfer always completes, however much the others hold.
        """
        if self._queue or not self._fits(reservation, size):
            return False
        self._grant(reservation, size)
        return True

    async def wait(self, reservation: Reservation, size: int) -> None:
        """Waits for `size` bytes; slow transfers are ended meanwhile.

        Raises:
            Busy: they did not come free in time, or too many wait already.
        """
        if len(self._queue) >= MAX_WAITING:
            raise Busy
        granted = asyncio.get_running_loop().create_future()
        self._queue[reservation] = size, granted
        try:
            await self._wait_for_grant(size, granted)
        finally:
            self._queue.pop(reservation, None)
            self._grant_waiting()

    def release(self, reservation: Reservation, size: int) -> None:
        """Takes bytes back."""
        reservation.held -= size
        self._used -= size
        if not reservation.held:
            self._holders.pop(reservation, None)
        self._grant_waiting()

    async def _wait_for_grant(self, size: int, granted: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._wait_seconds
        self._grant_waiting()
        while not granted.done():
            if loop.time() > deadline:
                raise Busy
            self._end_slowest(size)
            await asyncio.wait([granted], timeout=min(POLL_SECONDS, self._wait_seconds))

    def _grant_waiting(self) -> None:
        """Grants what is waited for, to the oldest holders first, as long as it fits."""
        for reservation in sorted(self._queue, key=self._age):
            size, granted = self._queue[reservation]
            if not self._fits(reservation, size):
                return
            del self._queue[reservation]
            self._grant(reservation, size)
            granted.set_result(None)

    def _age(self, reservation: Reservation) -> float:
        return next((age for age, holder in enumerate(self._holders) if holder is reservation), len(self._holders))

    def _fits(self, reservation: Reservation, size: int) -> bool:
        if next(iter(self._holders), reservation) is reservation:
            return True
        others = len(self._holders) - (reservation in self._holders)
        return others < self._max_holders and self._used + size <= self._total

    def _grant(self, reservation: Reservation, size: int) -> None:
        self._used += size
        reservation.held += size
        self._holders[reservation] = None

    def _end_slowest(self, size: int) -> None:
        """Ends slow transfers, the slowest first, until `size` bytes come free."""
        now = asyncio.get_running_loop().time()
        slow = [each for each in self.transfers if each.held and each.lag(now) > SLOW_LAG_SECONDS]
        missing = self._used + size - self._total
        for reservation in sorted(slow, key=lambda each: each.lag(now), reverse=True):
            if missing <= 0:
                return
            missing -= reservation.held
            reservation.end()
