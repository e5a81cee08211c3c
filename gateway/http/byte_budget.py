"""So many bytes of memory for all bodies (or answers) together, and who makes room where they do not suffice.

A body counts by what has arrived of it: a thousand callers who send nothing hold nothing. Each must move at a least
rate; under shortage those that fall behind it are ended first, and only then does anybody wait.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from gateway.http.problems import Busy

SLOW_LAG_SECONDS = 1.0
"""Who is so far behind the least rate is slow: is ended where the bytes are needed for others."""
POLL_SECONDS = 0.1
"""How often who waits looks whether somebody has become slow."""
MAX_WAITING = 256
"""Each that waits holds bytes that nobody counts: what the server had read already, some 100 kB."""


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """How fast a body must move.

    Attributes:
        seconds: for the whole body.
        stall_seconds: for which nothing may move: what fast bytes save beyond is lost.
        least_rate: bytes a second; for one that holds much the rate at which it would be through in `seconds`.
    """

    seconds: float
    stall_seconds: float
    least_rate: float


class Reservation:
    """What one body holds of a budget."""

    def __init__(self, budget: "ByteBudget") -> None:
        """Takes the budget; holds nothing yet."""
        self._budget = budget
        self._deadline: asyncio.Timeout | None = None
        self._pace = TransferLimits(0.0, 0.0, 0.0)
        self._end = self._stall_deadline = 0.0
        self.held = 0
        self.waiting = False

    @asynccontextmanager
    async def transfer(self, pace: TransferLimits) -> AsyncIterator[None]:
        """While the bytes move.

        Raises:
            TimeoutError: they moved more slowly than they must, or than all others while others needed room.
        """
        now = asyncio.get_running_loop().time()
        self._pace, self._end, self._stall_deadline = pace, now + pace.seconds, now + pace.stall_seconds
        async with asyncio.timeout_at(min(self._stall_deadline, self._end)) as self._deadline:
            self._budget.transfer.add(self)
            try:
                yield
            finally:
                self._budget.transfer.discard(self)

    async def acquire(self, size: int) -> None:
        """Holds so many bytes more.

        Raises:
            Busy: no room came free in time.
        """
        if self._budget.try_acquire(self, size):
            return
        began = asyncio.get_running_loop().time()
        self._reschedule(self._end)
        self.waiting = True
        try:
            await self._budget.wait(self, size)
        finally:
            self.waiting = False
            self._stall_deadline += asyncio.get_running_loop().time() - began
            self._reschedule(min(self._stall_deadline, self._end))

    def progressed(self, size: int) -> None:
        """Notes that so many bytes came or went just now."""
        pace, now = self._pace, asyncio.get_running_loop().time()
        rate = max(pace.least_rate, self.held / pace.seconds)
        self._stall_deadline = min(now + pace.stall_seconds, self._stall_deadline + size / rate)
        self._reschedule(min(self._stall_deadline, self._end))

    def release(self, size: int) -> None:
        """Holds so many bytes less."""
        self._budget.release(self, size)

    def end(self) -> None:
        """Ends what moves, for others."""
        self.waiting = True  # It is asked once, and no longer counts as slow.
        self._reschedule(0.0)

    def lag(self, now: float) -> float:
        """Seconds that it has fallen behind its least rate; those that wait for room are not to blame."""
        return 0.0 if self.waiting else now + self._pace.stall_seconds - self._stall_deadline

    def _reschedule(self, until: float) -> None:
        """Does nothing where the time is over already: it ends."""
        if self._deadline and not self._deadline.expired():
            self._deadline.reschedule(until)


class ByteBudget:
    """Bytes that bodies share."""

    def __init__(self, total: int, wait_seconds: float, max_holders: int = sys.maxsize) -> None:
        """Takes how many there are, for how long they may be waited for, and how many may hold some at a time."""
        self._total = total
        self._max_holders = max_holders
        self._wait_seconds = wait_seconds
        self._used = 0
        self._holders: dict[Reservation, None] = {}
        self._queue: dict[Reservation, tuple[int, asyncio.Future[None]]] = {}
        self.transfer: set[Reservation] = set()

    @contextmanager
    def reserve(self) -> Iterator[Reservation]:
        """What one body holds, until the end of the context."""
        share = Reservation(self)
        try:
            yield share
        finally:
            self.release(share, share.held)

    def try_acquire(self, share: Reservation, size: int) -> bool:
        """Gives so many bytes if they are there and nobody waits for them.

        The oldest holder may go over the total: so one always comes through, however much the others hold.
        """
        if self._queue or not self._fits(share, size):
            return False
        self._grant(share, size)
        return True

    async def wait(self, share: Reservation, size: int) -> None:
        """Waits for so many bytes; slow ones are ended meanwhile.

        Raises:
            Busy: they did not come free in time.
        """
        if len(self._queue) >= MAX_WAITING:
            raise Busy
        turn = asyncio.get_running_loop().create_future()
        self._queue[share] = size, turn
        try:
            await self._turn(size, turn)
        finally:
            self._queue.pop(share, None)
            self._serve()

    def release(self, share: Reservation, size: int) -> None:
        """Takes bytes back."""
        share.held -= size
        self._used -= size
        if not share.held:
            self._holders.pop(share, None)
        self._serve()

    async def _turn(self, size: int, turn: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._wait_seconds
        self._serve()
        while not turn.done():
            if loop.time() > until:
                raise Busy
            self._end_slowest(size)
            await asyncio.wait([turn], timeout=min(POLL_SECONDS, self._wait_seconds))

    def _serve(self) -> None:
        """Gives to those that wait, the oldest holders first, as long as there is room."""
        for share in sorted(self._queue, key=self._age):
            size, turn = self._queue[share]
            if not self._fits(share, size):
                return
            del self._queue[share]
            self._grant(share, size)
            turn.set_result(None)

    def _age(self, share: Reservation) -> float:
        return next((place for place, other in enumerate(self._holders) if other is share), len(self._holders))

    def _fits(self, share: Reservation, size: int) -> bool:
        if next(iter(self._holders), share) is share:
            return True
        others = len(self._holders) - (share in self._holders)
        return others < self._max_holders and self._used + size <= self._total

    def _grant(self, share: Reservation, size: int) -> None:
        self._used += size
        share.held += size
        self._holders[share] = None

    def _end_slowest(self, size: int) -> None:
        """Ends the slow ones, the slowest first, until so many bytes come free."""
        now = asyncio.get_running_loop().time()
        slow = [share for share in self.transfer if share.held and share.lag(now) > SLOW_LAG_SECONDS]
        missing = self._used + size - self._total
        for share in sorted(slow, key=lambda each: each.lag(now), reverse=True):
            if missing <= 0:
                return
            missing -= share.held
            share.end()
