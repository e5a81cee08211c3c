"""Since when Redis has remembered without a gap, and how far back that reaches. No I/O.

fraud:epoch      an `Epoch` as JSON, for ever: an emptied Redis has none, or another one
fraud:loading    while the first model's past is loaded: a lease, so that a killed loader holds nobody up for long

What Redis is asked is yielded, as one command after the other, by generators that take the replies::

    epoch = yield from settled(...)
"""

import json
import secrets
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from history.redis_schema import STATE, Argument
from releases.record import Release

EPOCH, LOADING = b"fraud:epoch", b"fraud:loading"
LEASE_SECONDS = 10
"""How long a lease stands that its holder does not renew."""
YOUNG_SECONDS = 300
"""A release record of this age or less may be a deployment's first: it has served nobody before."""
SCANNED = 10_000
"""Keys that one command looks through: a few milliseconds of Redis' time."""

Asking = Generator[tuple[Argument, ...], Any, "Epoch"]

MOVE = """
-- ARGV: what fraud:epoch must be, and what it becomes. Returns whether it was: 1 or 0.
-- A key of another type is as good as none; MGET says so, where GET would fail.
if (redis.call('MGET', 'fraud:epoch')[1] or '') ~= ARGV[1] then return 0 end
redis.call('SET', 'fraud:epoch', ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A time without a gap.

    Attributes:
        id: of chance: no two are alike.
        began: when, like all times here in seconds since 1970.
        reaches_back_to: from when on all transactions are there; None where nobody knows, for Redis was filled before
            there were epochs.
        lost_at: when it was found that Redis had been emptied; None where it was not, or has been filled anew.
    """

    id: str
    began: float
    reaches_back_to: float | None
    lost_at: float | None

    @classmethod
    def new(cls, now: float, *, lost: bool) -> Self:
        """One that begins with nothing."""
        return cls(secrets.token_hex(8), now, now, now if lost else None)

    @classmethod
    def from_bytes(cls, text: bytes | None) -> Self | None:
        """Reads one; None where there is none, or something else."""
        try:
            fields = json.loads(text or b"")
            reach, lost = (
                None if fields[name] is None else float(fields[name]) for name in ("reaches_back_to", "lost_at")
            )
            return cls(str(fields["id"]), float(fields["began"]), reach, lost)
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def to_bytes(self) -> bytes:
        """What the key holds."""
        return json.dumps(asdict(self)).encode()

    def is_short(self, window: float, now: float) -> bool:
        """Whether a loss shows in a window of so many seconds that ends now."""
        if self.lost_at is None:
            return False
        return now - (self.lost_at if self.reaches_back_to is None else self.reaches_back_to) < window

    def lost(self, now: float) -> "Epoch":
        """The same, once somebody finds that it is not the one that was there before."""
        return replace(self, reaches_back_to=now, lost_at=now)

    def filled(self, back_to: float) -> "Epoch":
        """The same, with a past that was loaded."""
        known = self.reaches_back_to
        return replace(self, reaches_back_to=back_to if known is None else min(known, back_to))


def has_served(record: Release, now: float) -> bool:
    """Whether a deployment has surely answered before, by its release record."""
    try:
        released = datetime.fromisoformat(record.released)
    except (ValueError, TypeError):
        return True
    age = now - (released if released.tzinfo else released.replace(tzinfo=UTC)).timestamp()
    return record.previous is not None or age > YOUNG_SECONDS


def settled(known: Epoch | None, now: float, *, served: bool) -> Asking:
    """The epoch of Redis, which is written where there is none, or where it says less than is known of it.

    Args:
        known: the one that was seen before; None after a start.
        now: the time.
        served: whether this deployment has answered before.
    """
    while True:
        (text,) = yield ("MGET", EPOCH)
        found = Epoch.from_bytes(text)
        if found is None:
            adopted = known is None and (yield from _has_states())
            becomes = _first(now, lost=known is not None or served, adopted=adopted)
        else:
            becomes = found.lost(now) if known and known.id != found.id and found.lost_at is None else found
        if becomes == found or (yield ("EVAL", MOVE, 0, text or b"", becomes.to_bytes())):
            return becomes


def filled(known: Epoch, back_to: float) -> Asking:
    """The epoch once a past is loaded that reaches so far back; where it is another one by now, nothing changes."""
    while True:
        (text,) = yield ("MGET", EPOCH)
        found = Epoch.from_bytes(text)
        if found is None or found.id != known.id:
            return known
        becomes = found.filled(back_to)
        if becomes == found or (yield ("EVAL", MOVE, 0, text, becomes.to_bytes())):
            return becomes


def _first(now: float, *, lost: bool, adopted: bool) -> Epoch:
    """States without an epoch were written before there were epochs: they are not lost."""
    begun = Epoch.new(now, lost=lost and not adopted)
    return replace(begun, reaches_back_to=None) if adopted else begun


def _has_states() -> Generator[tuple[Argument, ...], Any, bool]:
    cursor: bytes | int = 0
    while True:
        cursor, keys = yield ("SCAN", cursor, "MATCH", STATE + b"*", "COUNT", SCANNED)
        if keys:
            return True
        if int(cursor) == 0:
            return False
