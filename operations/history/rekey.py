"""`fraud history rekey`: what Redis remembers, brought to the HISTORY_KEY of this deployment. Nothing of it is lost.

What a release without a key wrote gets one; what an older secret was applied to gets the newer one on top, where
HISTORY_KEY names both. No text is known for that: the digests themselves are hashed once more (`history.keyed_hash`).

`fraud:key` says that a run is under way. Gateways then leave Redis alone: they score without history and say so, and
take no labels. Only those of a release without a key know nothing of it, and must be ended before.

1. Journals are recovered: those not applied yet are applied, those not claimed yet never will be.
2. Each key is renamed to `fraud:rekey:...` by its new digest; one that has not been moved still has its old name.
3. All get their prefixes back.

Each call of a script does nothing where the step is another one by now: whatever ends a run in the middle, the same
command goes on, and two of them do not harm each other.
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
from history.known_ids import FORMAT, KNOWN, TRANSACTION, TRANSACTION_HEAD
from history.label_update import MONTHS
from history.layout import DIGEST_BYTES
from history.redis_schema import BLOCK, STATE
from history.transaction_blocks import STATE_KEY_BYTES, keys_offset
from operations.errors import OperationsError
from operations.history.load import PREFIX
from operations.history.redis_access import TIMEOUT_SECONDS, Interrupted, adopted_key

PAGE = 500
"""Keys, or labels, that one call moves: about 2 ms of Redis' time."""
END_OF_TIME = 1 << 53
MOVED_PREFIX = b"fraud:rekey:"
CountCallback = Callable[[int], None]
"""Is called with the number of keys and labels that have their new digest."""

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
    if #ending > 0 then redis.call('SETRANGE', after, redis.call('STRLEN', after) - #ending, ending) end
    moved = moved + 1
  end
end
return moved
"""
"""Where a gateway of a release without a key goes on all the same, what it writes is appended to what was moved."""
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
    """What a run did.

    Attributes:
        moved: keys and labels that got another digest; 0 where all had this key's before.
    """

    moved: int
    resumed: bool
    seconds: float


def rekey(url: str, key: HistoryKey, on_progress: CountCallback) -> RekeyResult:
    """Brings all digests to this key.

    Raises:
        Interrupted: Redis does not answer.
        OperationsError: its digests are of a key that this one does not begin with.
    """
    began = time.monotonic()
    with _connected(url) as redis:
        stored = adopted_key(redis, key)
        if stored == key.check:
            return RekeyResult(0, resumed=False, seconds=time.monotonic() - began)
        run = _RekeyRun(redis, key, on_progress, stored)
        moved = run.complete()
        return RekeyResult(moved, run.resumed, time.monotonic() - began)


class _RekeyRun:
    """One run: from the key that Redis' digests have, or had when an earlier run began, to this key."""

    def __init__(self, redis: Redis, key: HistoryKey, on_progress: CountCallback, stored: bytes) -> None:
        self._redis, self._key, self._on_progress = redis, key, on_progress
        step, *checks = stored.split(b" ") if b" " in stored else (b"", stored, key.check)
        before, after = checks
        earlier = {each.check: each for each in key.earlier}
        if before not in earlier or after != key.check:
            raise OperationsError(
                "what Redis remembers is of a HISTORY_KEY that this one does not begin with: "
                "set the one that it is of, and the new one behind it with a comma between"
            )
        self.resumed = step != b""
        self._step = stored
        self._moving, self._restoring = (b"%b %b %b" % (number, before, after) for number in (b"1", b"2"))
        self._added_key = key.after(earlier[before])

    def complete(self) -> int:
        """Does all that is left; the number of keys and labels that this run has moved."""
        moved = 0
        if self._step != self._restoring:
            self._set_step(self._moving)
            while self._redis.eval(RECOVER, 0, END_OF_TIME):
                pass
            while count := self._move_all(moved):
                moved += count
            self._set_step(self._restoring)
        while self._rename(self._pages(MOVED_PREFIX), lambda name: (b"fraud:" + name.removeprefix(MOVED_PREFIX), b"")):
            pass
        self._set_step(self._key.check)
        return moved

    def _set_step(self, step: bytes) -> None:
        if self._step != step and not self._redis.eval(BEGIN, 0, self._step, step):
            raise OperationsError("another `fraud history rekey` runs: wait until it has ended")
        self._step = step

    def _move_all(self, before: int) -> int:
        """Moves all keys and labels that one scan finds; how many it moved."""
        moved = 0
        for kind in (STATE, PREFIX, TRANSACTION, BLOCK):
            for page in self._pages(kind):
                moved += self._rename([page], self._new_name if kind in (STATE, PREFIX) else self._new_records(page))
                self._on_progress(before + moved)
        for kind in (KNOWN, MONTHS):
            for page in self._pages(kind):
                for name in page:
                    moved += self._move_fields(name)
                    self._on_progress(before + moved)
        return moved

    def _new_name(self, name: bytes) -> tuple[bytes, bytes]:
        if name.startswith(STATE):
            return _moved_name(STATE + self._new_state_key(name.removeprefix(STATE))), b""
        digest = bytes.fromhex(name.removeprefix(PREFIX).decode())
        return _moved_name(PREFIX + self._added_key.keyed(digest).hex().encode()), b""

    def _new_records(self, page: list[bytes]) -> Callable[[bytes], tuple[bytes, bytes]]:
        """New names of blocks and of transactions by a release before, and their new ends, which name states."""
        records: Any = self._redis.mget(page)
        endings = {name: self._new_ending(record or b"") for name, record in zip(page, records, strict=True)}
        prefix, key = _moved_name(TRANSACTION), self._added_key
        return lambda name: (
            _moved_name(name) if name.startswith(BLOCK) else prefix + key.keyed(name.removeprefix(TRANSACTION)),
            endings[name],
        )

    def _new_ending(self, record: bytes) -> bytes:
        """The states that a record or a block names, by their new keys; b"" of one that is incomplete."""
        offset = TRANSACTION_HEAD.itemsize if record[:1] == bytes([FORMAT]) else keys_offset(record)
        states = b"" if offset is None else record[offset:]
        if not states or len(states) % STATE_KEY_BYTES:
            return b""
        each = np.frombuffer(states, f"V{STATE_KEY_BYTES}")
        return b"".join(self._new_state_key(state.tobytes()) for state in each)

    def _new_state_key(self, state: bytes) -> bytes:
        """The new key of a state; a transaction without the entity names a key of zeros, which stays."""
        entity = state[DIGEST_BYTES:]
        return state[:DIGEST_BYTES] + (self._added_key.keyed(entity) if any(state) else entity)

    def _move_fields(self, name: bytes) -> int:
        """Moves the ids in a hash: of known transactions, or of a month's labels."""
        moved, cursor = 0, -1
        while cursor:
            page: Any = self._redis.hscan(name, max(cursor, 0), count=PAGE)
            cursor, fields = page
            pairs = [part for field in fields for part in (field, self._added_key.keyed(field))]
            moved += self._call(FIELDS, name, _moved_name(name), *pairs) if pairs else 0
        return moved

    def _rename(self, pages: Iterable[list[bytes]], of: Callable[[bytes], tuple[bytes, bytes]]) -> int:
        return sum(self._call(RENAME, *(part for name in page for part in (name, *of(name)))) for page in pages)

    def _call(self, script: str, *arguments: bytes) -> int:
        moved: Any = self._redis.eval(script, 0, self._step, *arguments)
        return int(moved)

    def _pages(self, prefix: bytes) -> Iterator[list[bytes]]:
        cursor = -1
        while cursor:
            page: Any = self._redis.scan(max(cursor, 0), match=prefix + b"*", count=PAGE)
            cursor, names = page
            if names:
                yield names


def _moved_name(name: bytes) -> bytes:
    return MOVED_PREFIX + name.removeprefix(b"fraud:")


@contextlib.contextmanager
def _connected(url: str) -> Iterator[Redis]:
    resumed = "What has moved stays; the same command goes on behind it"
    try:
        with connect(url, TIMEOUT_SECONDS) as client:
            yield client
    except (RedisError, OSError, ValueError) as error:
        raise Interrupted(f"Redis does not answer as it should ({type(error).__name__}). {resumed}") from None
