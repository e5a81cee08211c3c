"""Since when Redis has kept all transactions, and how far back they reach. No I/O.

fraud:epoch      an `Epoch` as JSON, which never expires
fraud:loading    exists while the first model's past is loaded: a lease, so that a loader that was killed delays nobody

The functions that read and write the epoch are generators: each yields one command after the other and is sent the
reply; its value is the epoch that stands in the end::

    epoch = yield from ensure_epoch(...)

Rules:

1. An emptied Redis never looks whole: the epoch's id is of chance, so whatever stands there afterwards is none or has
   another id, and who knew the old one marks the new one as lost (`lost_at`).
2. Who knows no epoch, as after a start, goes by the release record: where the deployment has served before, a Redis
   without an epoch is a loss; a new deployment's is not.
3. States without an epoch were written by a release that had no epochs: nothing is lost, but nobody knows how far they
   reach back (`reaches_back_to` is None).
4. A loss is over for a window when the transactions reach back as far as the window does: after that time, or once a
   past that is long enough is loaded. Loading moves `reaches_back_to` back only.
5. The epoch is replaced by compare-and-set: where another gateway was faster, it is read and judged again.
"""

import json
import secrets
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from history.redis_schema import STATE, Arguments
from releases.record import Release

EPOCH, LOADING = b"fraud:epoch", b"fraud:loading"
LOADING_LEASE_SECONDS = 10
"""After which a lease ends that its holder does not renew."""
FIRST_RELEASE_SECONDS = 300
"""Age up to which a release record without a predecessor counts as that of a new deployment."""
SCAN_COUNT = 10_000
"""Keys that one SCAN looks at: a few milliseconds of Redis' time."""

EpochCommands = Generator[Arguments, Any, "Epoch"]

REPLACE_EPOCH = """
-- ARGV: what fraud:epoch must be, and what it becomes. Returns whether it was: 1 or 0.
-- A key of another type is as good as none; MGET says so, where GET would fail.
if (redis.call('MGET', 'fraud:epoch')[1] or '') ~= ARGV[1] then return 0 end
redis.call('SET', 'fraud:epoch', ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A period in which Redis has lost nothing.

    Attributes:
        id: random, so that no two are equal.
        began: its begin, like all times here in seconds since 1970.
        reaches_back_to: the time from which on all transactions are in Redis; None where it is not known (rule 3).
        lost_at: when it was found that Redis had been emptied; None where it was not.
    """

    id: str
    began: float
    reaches_back_to: float | None
    lost_at: float | None

    @classmethod
    def new(cls, now: float, *, lost: bool) -> Self:
        """An epoch of an empty Redis."""
        return cls(secrets.token_hex(8), now, now, now if lost else None)

    @classmethod
    def from_bytes(cls, text: bytes | None) -> Self | None:
        """Parses the value of EPOCH; None where there is none, or it is no epoch."""
        try:
            fields = json.loads(text or b"")
            oldest, lost = (
                None if fields[name] is None else float(fields[name]) for name in ("reaches_back_to", "lost_at")
            )
            return cls(str(fields["id"]), float(fields["began"]), oldest, lost)
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def to_bytes(self) -> bytes:
        """The value of EPOCH."""
        return json.dumps(asdict(self)).encode()

    def is_incomplete(self, window: float, now: float) -> bool:
        """Whether a loss shows in a window of this many seconds that ends now (rule 4)."""
        if self.lost_at is None:
            return False
        return now - (self.lost_at if self.reaches_back_to is None else self.reaches_back_to) < window

    def marked_lost(self, now: float) -> "Epoch":
        """This epoch, once it is found that it is not the one that was there before (rule 1)."""
        return replace(self, reaches_back_to=now, lost_at=now)

    def extended(self, back_to: float) -> "Epoch":
        """This epoch, once past transactions are loaded that reach back to this time (rule 4)."""
        known = self.reaches_back_to
        return replace(self, reaches_back_to=back_to if known is None else min(known, back_to))


def has_served(record: Release, now: float) -> bool:
    """Whether a deployment has served requests before, by its release record (rule 2)."""
    try:
        released = datetime.fromisoformat(record.released)
    except (ValueError, TypeError):
        return True
    age = now - (released if released.tzinfo else released.replace(tzinfo=UTC)).timestamp()
    return record.previous is not None or age > FIRST_RELEASE_SECONDS


def ensure_epoch(known: Epoch | None, now: float, *, served: bool) -> EpochCommands:
    """Reads the epoch, and writes it where there is none or a loss is not marked in it.

    Args:
        known: the one that was read before; None after a start.
        now: the time.
        served: whether this deployment has served requests before.
    """
    while True:
        (text,) = yield ("MGET", EPOCH)
        current = Epoch.from_bytes(text)
        if current is None and known is None and (yield from _has_states()):
            epoch = replace(Epoch.new(now, lost=False), reaches_back_to=None)
        elif current is None:
            epoch = Epoch.new(now, lost=known is not None or served)
        else:
            is_unmarked_loss = known is not None and known.id != current.id and current.lost_at is None
            epoch = current.marked_lost(now) if is_unmarked_loss else current
        if epoch == current or (yield ("EVAL", REPLACE_EPOCH, 0, text or b"", epoch.to_bytes())):
            return epoch


def extend_epoch(known: Epoch, back_to: float) -> EpochCommands:
    """Notes that past transactions are loaded that reach back to this time, unless the epoch is another one by now."""
    while True:
        (text,) = yield ("MGET", EPOCH)
        current = Epoch.from_bytes(text)
        if current is None or current.id != known.id:
            return known
        epoch = current.extended(back_to)
        if epoch == current or (yield ("EVAL", REPLACE_EPOCH, 0, text, epoch.to_bytes())):
            return epoch


def _has_states() -> Generator[Arguments, Any, bool]:
    cursor: bytes | int = 0
    while True:
        cursor, keys = yield ("SCAN", cursor, "MATCH", STATE + b"*", "COUNT", SCAN_COUNT)
        if keys:
            return True
        if int(cursor) == 0:
            return False
