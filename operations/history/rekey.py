"""`fraud history rekey`: what Redis remembers, brought to the HISTORY_KEY of this deployment. Nothing of it is lost.

What a release without a key wrote gets one; what an older secret was applied to gets the newer one on top, where
HISTORY_KEY names both. No text is known for that: the digests themselves are hashed once more (`history.keyed_hash`).

`fraud:key` says that it goes on. Gateways then leave Redis alone by themselves: they score without history and say so,
and take no labels. Only those of a release without a key know nothing of it, and must be ended before.

1. Journals are settled: those not applied yet are, those not claimed yet never will be.
2. Each key is renamed to `fraud:rekey:...` by its new digest; one that is still there has not been moved.
3. All are named as before.

Each call of a script does nothing where the step is another one by now, so that whatever ends this in the middle, the
same command goes on, and two of them do not harm each other.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from redis import Redis
from redis.exceptions import RedisError

from environment.redis_client import connect
from history.journal import RECOVER
from history.keyed_hash import HistoryKey
from history.labels import MONTHS
from history.layout import DIGEST_BYTES
from history.redis_schema import FORMAT, STATE, STATE_KEY_BYTES, TRANSACTION, TRANSACTION_HEAD
from operations.errors import OperationsError
from operations.history.load import PREFIX
from operations.history.redis_access import TIMEOUT_SECONDS, Interrupted, adopted_key

PAGE = 500
"""Keys, or labels, that one call moves: about 2 ms of Redis' time."""
ALL_TIME = 1 << 53
ASIDE = b"fraud:rekey:"
ProgressCallback = Callable[[int], None]
"""Hears how many keys and labels have got their new digest."""

BEGIN = """
-- ARGV: what must stand of the key, and what stands from now on.
if (redis.call('GET', 'fraud:key') or '') ~= ARGV[1] then return 0 end
redis.call('SET', 'fraud:key', ARGV[2])
return 1
"""
RENAME = """
-- ARGV: what must stand of the key; then for each key its name, its next name, and what its end becomes.
if redis.call('GET', 'fraud:key') ~= ARGV[1] then return redis.error_reply('MOVED') end
local moved = 0
for i = 2, #ARGV, 3 do
  local name, after, ending = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if redis.call('EXISTS', name, after) == 2 then
    if string.sub(name, 1, 8) == 'fraud:h:' then redis.call('APPEND', after, redis.call('GET', name)) end
    redis.call('UNLINK', name)
  elseif redis.call('EXISTS', name) == 1 then
    redis.call('RENAME', name, after)
    if #ending > 0 then redis.call('SETRANGE', after, {head}, ending) end
    moved = moved + 1
  end
end
return moved
""".replace("{head}", str(TRANSACTION_HEAD.itemsize))
"""Where a gateway of a release without a key goes on all the same, what it writes is added to what has moved."""
FIELDS = """
-- ARGV: what must stand of the key; a hash and its next name; then for each field its name and its next name.
if redis.call('GET', 'fraud:key') ~= ARGV[1] then return redis.error_reply('MOVED') end
local moved, left = 0, redis.call('PTTL', ARGV[2])
for i = 4, #ARGV, 2 do
  local value = redis.call('HGET', ARGV[2], ARGV[i])
  if value then
    redis.call('HSET', ARGV[3], ARGV[i + 1], value)
    redis.call('HDEL', ARGV[2], ARGV[i])
    moved = moved + 1
  end
end
if left > 0 then redis.call('PEXPIRE', ARGV[3], left) end
return moved
"""


@dataclass(frozen=True, slots=True)
class RekeyResult:
    """What was done.

    Attributes:
        moved: keys and labels that got another digest; 0 where all was of this key before.
        resumed: whether another run had begun.
        seconds: it took.
    """

    moved: int
    resumed: bool
    seconds: float


def rekey(url: str, key: HistoryKey, told: ProgressCallback) -> RekeyResult:
    """Brings all to this key.

    Raises:
        Interrupted: Redis does not answer.
        OperationsError: it is of a key that this one does not go on from.
    """
    began = time.monotonic()
    with _connected(url) as redis:
        found = adopted_key(redis, key)
        if found == key.check:
            return RekeyResult(0, resumed=False, seconds=time.monotonic() - began)
        run = _Run(redis, key, told, found)
        moved = run.through()
        return RekeyResult(moved, run.resumed, time.monotonic() - began)


class _Run:
    """One run: from what Redis' digests are, or were when another run began, to the key."""

    def __init__(self, redis: Redis, key: HistoryKey, told: ProgressCallback, found: bytes) -> None:
        self._redis, self._key, self._told = redis, key, told
        step, *checks = found.split(b" ") if b" " in found else (b"", found, key.check)
        before, after = checks
        earlier = {each.check: each for each in key.earlier}
        if before not in earlier or after != key.check:
            raise OperationsError(
                "what Redis remembers is of a HISTORY_KEY that this one does not begin with: "
                "set the one that it is of, and the new one behind it with a comma between"
            )
        self.resumed = step != b""
        self._stands = found
        self._aside, self._back = (b"%b %b %b" % (number, before, after) for number in (b"1", b"2"))
        self._more = key.after(earlier[before])

    def through(self) -> int:
        """Does all that is left; gives how many keys and labels have got another digest now."""
        moved = 0
        if self._stands != self._back:
            self._take_step(self._aside)
            while self._redis.eval(RECOVER, 0, ALL_TIME):
                pass
            while found := self._moved_aside(moved):
                moved += found
            self._take_step(self._back)
        while self._renamed(self._pages(ASIDE), lambda name: (b"fraud:" + name.removeprefix(ASIDE), b"")):
            pass
        self._take_step(self._key.check)
        return moved

    def _take_step(self, step: bytes) -> None:
        if self._stands != step and not self._redis.eval(BEGIN, 0, self._stands, step):
            raise OperationsError("another `fraud history rekey` runs: wait until it has ended")
        self._stands = step

    def _moved_aside(self, before: int) -> int:
        """How many keys and labels one look found and moved."""
        moved = 0
        for kind in (STATE, PREFIX, TRANSACTION):
            for page in self._pages(kind):
                moved += self._renamed([page], self._state_or_load if kind != TRANSACTION else self._records(page))
                self._told(before + moved)
        for page in self._pages(MONTHS):
            for month in page:
                moved += self._labels(month)
                self._told(before + moved)
        return moved

    def _state_or_load(self, name: bytes) -> tuple[bytes, bytes]:
        if name.startswith(STATE):
            return _aside(STATE + self._state(name.removeprefix(STATE))), b""
        digest = bytes.fromhex(name.removeprefix(PREFIX).decode())
        return _aside(PREFIX + self._more.keyed(digest).hex().encode()), b""

    def _records(self, page: list[bytes]) -> Callable[[bytes], tuple[bytes, bytes]]:
        """Of transactions, whose records name the states that their labels change."""
        found: Any = self._redis.mget(page)
        ends = {name: self._end(record or b"") for name, record in zip(page, found, strict=True)}
        return lambda name: (_aside(TRANSACTION + self._more.keyed(name.removeprefix(TRANSACTION))), ends[name])

    def _end(self, record: bytes) -> bytes:
        """The states that a record names, by their new keys; nothing where it is none that is whole."""
        states = record[TRANSACTION_HEAD.itemsize :]
        if not states or record[0] != FORMAT or len(states) % STATE_KEY_BYTES:
            return b""
        each = np.frombuffer(states, f"V{STATE_KEY_BYTES}")
        return b"".join(self._state(state.tobytes()) for state in each)

    def _state(self, state: bytes) -> bytes:
        """The key of a state; a transaction without this entity names the state nought, which none is."""
        entity = state[DIGEST_BYTES:]
        return state[:DIGEST_BYTES] + (self._more.keyed(entity) if any(state) else entity)

    def _labels(self, month: bytes) -> int:
        moved, cursor = 0, -1
        while cursor:
            page: Any = self._redis.hscan(month, max(cursor, 0), count=PAGE)
            cursor, fields = page
            pairs = [part for field in fields for part in (field, self._more.keyed(field))]
            moved += self._run(FIELDS, month, _aside(month), *pairs) if pairs else 0
        return moved

    def _renamed(self, pages: Iterable[list[bytes]], of: Callable[[bytes], tuple[bytes, bytes]]) -> int:
        return sum(self._run(RENAME, *(part for name in page for part in (name, *of(name)))) for page in pages)

    def _run(self, script: str, *arguments: bytes) -> int:
        found: Any = self._redis.eval(script, 0, self._stands, *arguments)
        return int(found)

    def _pages(self, prefix: bytes) -> Iterator[list[bytes]]:
        cursor = -1
        while cursor:
            page: Any = self._redis.scan(max(cursor, 0), match=prefix + b"*", count=PAGE)
            cursor, names = page
            if names:
                yield names


def _aside(name: bytes) -> bytes:
    return ASIDE + name.removeprefix(b"fraud:")


@contextlib.contextmanager
def _connected(url: str) -> Iterator[Redis]:
    again = "What has moved stays; the same command goes on behind it"
    try:
        with connect(url, TIMEOUT_SECONDS) as client:
            yield client
    except (RedisError, OSError, ValueError) as error:
        raise Interrupted(f"Redis does not answer as it should ({type(error).__name__}). {again}") from None
