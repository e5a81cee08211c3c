"""A batch of transactions and what Redis remembers, from the first question to the values. No I/O.

    session = BatchSession(plan, table, ids, options, now)
    while calls := recall.entries():
        recall.take(what it replies to each, in their order)
    values = recall.values()

Rows that are known already, by their ids, get the values that they got the first time. The others enter, in order of
time: they are counted, and see what was there before and each other. A small batch is one call that reads and enters,
so that no other batch comes between what it sees and what it adds. A large one reads all states first and then claims
its rows in blocks (`history.journal`), so that Redis is never busy with it for long; its values can be had meanwhile:

    recall.take_states(what Redis replies to MGET of each of recall.reads)
    while recall.waiting:
        what the script BOOK replies to recall.booking
        recall.take_claims(what it replies to each of recall.claims)
        while calls := recall.additions():
            recall.take_additions(what the script APPLY replies to each)
        recall.take(what the script ENTER replies to each of recall.entries)
"""

import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contract.table import Table
from history.epoch import EPOCH, LOADING, Epoch
from history.evaluation import Batch, StoredRecords, batch, evaluate
from history.journal import booked, claim, journal
from history.keyed_hash import UNKEYED, HistoryKey
from history.layout import Layout, numbered
from history.plan import Plan
from history.redis_schema import (
    BLOCK_BYTES,
    NEVER,
    STATE,
    Argument,
    added,
    labelled,
    state_keys,
    stored,
    transactions,
)
from history.removal import RowRemoval

BLOCK_ROWS = 500
"""Rows that one script enters: 2 to 4 ms of Redis' time. More make a large batch."""
CLAIMED_ROWS = 500
"""Rows of a large batch that are claimed at once, and settled at once: so few that Redis is never busy for long."""
BLOCK_KEYS = 1_000
"""States that are read at once: of busy entities several megabytes."""
MOST_STATES = 2_000
"""States that are appended to at once, where one block has no more: likewise."""
LONG = 64
"""Records from which a state is looked at whether it can be merged."""
LOOKED_AT = 8
"""A long state is looked at when it passes a multiple of so many records."""
MOST_MERGED = 1_000_000
"""Bytes of the states that one batch merges at most."""
SHRUNK = 0.75
"""Of its records a state must keep no more than this share, or it is not worth to be written anew."""
EXPIRY_MARGIN = 2 * 86_400
"""Seconds that a state outlives the longest window."""

Reply = Sequence[bytes]
Rows = NDArray[np.int64]
NO_ROWS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class HistoryOptions:
    """How transactions are kept in Redis.

    Attributes:
        record: whether they enter; else they are only looked up, and leave no trace.
        known_seconds: how long one is known: not counted again, and found by its label.
        values_seconds: how long a repeat gets the same history values.
        key: what ids and entities are hashed with.
    """

    record: bool
    known_seconds: int
    values_seconds: int
    key: HistoryKey = UNKEYED


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One layout of the plan: its rows, whose states they are, and what was read of these.

    `where` tells for each row of the table its place in the batch, -1 where it has none.
    """

    layout: Layout
    batch: Batch
    where: Rows
    keys: NDArray[np.void]
    sizes: list[int]
    states: list[bytes]

    @property
    def is_damaged(self) -> bool:
        """Whether a state is not a number of whole records."""
        return bool((np.array(self.sizes, dtype=np.int64) % self.layout.dtype.itemsize).any())

    def before(self) -> StoredRecords:
        """The states as records."""
        return stored(self.layout, np.array(self.sizes, dtype=np.int64), b"".join(self.states))

    def state(self, code: int) -> bytes:
        """What was read of one entity's state."""
        begin = sum(self.sizes[:code])
        return self.states[0][begin : begin + self.sizes[code]]

    def rows(self, rows: Rows) -> tuple[NDArray[np.void], NDArray[np.void]]:
        """What these rows of the table add, one by one: the key of the state, and the record."""
        places = self._places(rows)
        return self.keys[self.batch.codes[places]], self.batch.records[places]

    def entities(self, rows: Rows) -> int:
        """How many states these rows of the table append to."""
        return int(np.count_nonzero(np.bincount(self.batch.codes[self._places(rows)])))

    def additions(self, rows: Rows) -> tuple[NDArray[np.void], list[bytes]]:
        """What these rows of the table append, and to which states."""
        places = self._places(rows)
        codes, data = added(self.layout, self.batch.codes[places], self.batch.records[places])
        return self.keys[codes], data

    def _places(self, rows: Rows) -> Rows:
        """In order of time, so that equal rows give equal bytes."""
        places = self.where[rows]
        places = places[places >= 0]
        places.sort()
        return places


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """One call of the script: its rows in order of time, those of them with an id, and the states that it reads."""

    rows: Rows
    named: Rows
    reads: Sequence[int]
    arguments: tuple[Argument, ...]

    @property
    def enters(self) -> bool:
        """Whether its rows enter, unless one of them is known."""
        return self.arguments[0] == "enter"


@dataclass(frozen=True, slots=True, eq=False)
class _Claim:
    """Rows of a large batch that enter together, in order of time, and the name of their journal."""

    rows: Rows
    name: bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Claims that are applied together, and the arguments of APPLY."""

    claims: Sequence[_Claim]
    arguments: tuple[Argument, ...]


class BatchSession:
    """One batch.

    Attributes:
        epoch: of what Redis said, as it was at that moment; None where it had none.
        loading: whether the past of the first model was just being loaded.
        unusable: how many states were met that are none, or are damaged: they count as empty.
        muddled: whether a known row could not be told apart from others that it sees, now that its values are gone.
    """

    def __init__(self, plan: Plan, table: Table, ids: Sequence[str], options: HistoryOptions, now: float) -> None:
        """Takes the rows, and their ids in the order of the table; an empty text is no id.

        `now` is in seconds since 1970; what is older than any window by it may be forgotten.
        """
        self._plan = plan
        self._table = table
        self._texts = ids
        self._options = options
        self._now = now
        self._seconds: NDArray[np.float64] = table.columns[plan.time]
        self._parts = [self._part(layout) for layout in plan.layouts]
        self._block = os.urandom(BLOCK_BYTES)
        self._known: dict[int, NDArray[np.float64] | None] = {}
        self._awaited = set[int]()
        self._of_other_plans = set[int]()
        self._entered = np.full(table.rows, -1, dtype=np.int64)
        self._blocks_entered = 0
        self._expire = plan.seconds + EXPIRY_MARGIN if options.record else 0
        self._small = table.rows <= BLOCK_ROWS
        self._claiming = options.record and not self._small
        self._claimed: list[_Claim] = []
        self._noted: list[_Claim] = []
        self._expected: list[_Group] = []
        self._applying: list[_Group] = []
        self._applied_in_part: list[_Group] = []
        self._claims_made = 0
        self._waiting: list[Rows] | None = None
        self._next: list[_Call] = []
        self._asked: Sequence[_Call] = ()
        self._missing: list[bytes] = []
        self.epoch: Epoch | None = None
        self.loading = False
        self.unusable = 0
        self.muddled = False

    def reads(self) -> list[list[bytes]]:
        """The keys of the states of a large batch, so many together as are read at once; the epoch comes last."""
        keys = self._state_keys
        return [*(keys[at : at + BLOCK_KEYS] for at in range(0, len(keys), BLOCK_KEYS)), [EPOCH, LOADING]]

    def take_states(self, replies: Iterable[Sequence[bytes | None]]) -> None:
        """Takes the states; one that is not there is None."""
        *replies, about = replies
        self._take_about(*about)
        found = [state for reply in replies for state in reply]
        self._missing = [key for key, state in zip(self._state_keys, found, strict=True) if state is None]
        states = [state or b"" for state in found]
        for part in self._parts:
            mine, states = states[: len(part.keys)], states[len(part.keys) :]
            part.sizes[:], part.states[:] = map(len, mine), [b"".join(mine)]
            self.unusable += part.is_damaged

    def doubts(self) -> list[tuple[Argument, ...]]:
        """The arguments of the calls of STRANGE about states that were not there; where rows enter, APPLY tells."""
        if self._options.record:
            return []
        keys = [key.removeprefix(STATE) for key in self._missing]
        return [(b"".join(keys[at : at + BLOCK_KEYS]),) for at in range(0, len(keys), BLOCK_KEYS)]

    def take_doubts(self, replies: Sequence[int]) -> None:
        """Takes the replies."""
        self.unusable += sum(replies)

    def prepare(self) -> None:
        """Does what can be done while the states of a large batch are read."""
        self._waiting = self._taken()
        _ = self._ids, self._named, self._records

    def entries(self) -> list[tuple[Argument, ...]]:
        """The arguments of the calls to make now, in this order; none when everything is known or has entered."""
        waiting = [] if self._claiming else self._taken()
        self._asked, self._next = [*map(self._entry, waiting), *self._next], []
        return [call.arguments for call in self._asked]

    @property
    def waiting(self) -> bool:
        """Whether rows of a large batch have yet to enter."""
        return self._claiming and (self._waiting is None or len(self._waiting) > 0)

    def booking(self) -> tuple[Argument, ...]:
        """The arguments of BOOK, which must have succeeded before what waits of a large batch is claimed."""
        self._claimed = [self._claim(rows) for rows in self._taken()]
        return booked([each.name for each in self._claimed], self._now)

    def claims(self) -> Iterator[bytes]:
        """The commands that claim what has been booked, in this order."""
        yield from map(self._command, self._claimed)
        self._expected = list(self._groups(self._claimed))  # While Redis works on them.

    def take_claims(self, replies: Sequence[int]) -> None:
        """Takes the replies. A block of which a row is known has not been claimed: it is looked up, and tries again."""
        for each, entered in zip(self._claimed, replies, strict=True):
            if entered:
                self._noted.append(each)
            else:
                named = each.rows[self._named[each.rows]]
                self._next.append(_Call(each.rows, named, (), self._look(named)))

    def additions(self) -> list[tuple[Argument, ...]]:
        """The arguments of the calls of APPLY for what has been claimed since the last time; none where nothing has."""
        noted, self._noted = self._noted, []
        again, self._applied_in_part = self._applied_in_part, []
        whole = len(noted) == len(self._claimed)
        self._applying = [*(self._expected if whole else self._groups(noted)), *again]
        self._expected = []
        return [group.arguments for group in self._applying]

    def take_additions(self, replies: Sequence[int]) -> None:
        """Takes the replies; of a group of which others have applied some, each is tried by itself."""
        for group, applied in zip(self._applying, replies, strict=True):
            self.unusable += max(applied - 1, 0)
            if applied or len(group.claims) == 1:
                self._take_entered(np.concatenate([each.rows for each in group.claims]))
            else:
                self._applied_in_part += [single for each in group.claims for single in self._groups([each])]

    def take(self, replies: Iterable[Reply]) -> None:
        """Takes the replies; where a call met known rows, nothing entered: its other rows try again."""
        for call, reply in zip(self._asked, replies, strict=True):
            self._take_about(reply[6], reply[7])
            if reply[0]:
                self._take_known(call.named[np.frombuffer(reply[0], "<u4")], reply)
            if call.enters and not reply[0]:
                self._take_entered(call.rows)
            elif self._options.record:
                self._try_again(call)
                continue
            self._take_states(call.reads, reply[4], reply[5])

    @property
    def large(self) -> bool:
        """Whether its states are read before it enters."""
        return not self._small

    @property
    def repeats(self) -> int:
        """How many rows are known already."""
        return len(self._known)

    @property
    def pending(self) -> Rows:
        """Known rows whose values are not there yet: another request with them is on its way, or was just cut off.

        Rows that have values of another plan, never had any, or entered long ago are not among them.
        """
        return np.array(sorted(self._awaited), dtype=np.int64)

    def look_again(self) -> None:
        """Asks once more for the pending rows."""
        rows = self.pending
        self._next = [_Call(rows, rows, (), self._look(rows))]

    def values(self) -> dict[str, NDArray[np.float64]]:
        """Each history feature of each row of the table, shape (rows,), by name."""
        columns, rows = self._table.columns, self._table.rows
        whole = all(len(part.batch.places) == rows for part in self._parts)
        found = {} if whole else self._plan.neutral(columns, rows)
        for part, (_, windows) in zip(self._parts, self._plan.parts, strict=True):
            if not windows:
                continue
            before, arriving = self._before(part), self._counting(part)
            for name, values in evaluate(windows, before, arriving, columns).items():
                found.setdefault(name, np.empty(rows))[arriving.places] = values
        return self._as_the_first_time(found) if self._silent.any() else found

    def kept(self, values: Mapping[str, NDArray[np.float64]] | None) -> tuple[Argument, ...]:
        """The arguments of the script KEEP, once all has entered; none where there is nothing to keep.

        Without values repeats are told that there are none: they have their own when they come.
        """
        if not self._new.any():
            return ()
        if values is None:
            return (self._block, b"", self._options.values_seconds)
        matrix = np.array([values[name] for name in self._plan.names], dtype="<f8").T
        return (self._block, matrix.tobytes(), self._options.values_seconds)

    def merges(self) -> tuple[bytes, ...]:
        """The arguments of the script MERGE, for long states; none where there is nothing to merge."""
        return tuple(
            each
            for part in self._parts
            for code in _longest(part, self._entered >= 0)
            for each in self._merge(part, code)
        )

    @property
    def entered(self) -> bool:
        """Whether any row has entered."""
        return self._blocks_entered > 0

    @property
    def new(self) -> int:
        """How many rows have entered and have an id."""
        return int(self._new.sum())

    @property
    def block(self) -> bytes:
        """What names this batch: its values, and what was answered, are kept by the rows' positions in the table."""
        return self._block

    @property
    def _new(self) -> NDArray[np.bool_]:
        return (self._entered >= 0) & self._named

    def _part(self, layout: Layout) -> _Part:
        rows = batch(layout, self._table.columns)
        where = np.full(self._table.rows, -1, dtype=np.int64)
        where[rows.places] = np.arange(len(rows.places))
        return _Part(layout, rows, where, state_keys(layout, rows.entities, self._options.key), [], [])

    def _taken(self) -> list[Rows]:
        """What waits, which then waits no more."""
        if self._waiting is None:
            rows = self._order[~self._silent[self._order]]
            self._waiting = [rows] if self._small else _blocks(rows, CLAIMED_ROWS if self._claiming else BLOCK_ROWS)
        waiting, self._waiting = self._waiting, []
        return waiting

    def _claim(self, rows: Rows) -> _Claim:
        self._claims_made += 1
        return _Claim(rows, self._block + struct.pack("<I", self._claims_made))

    def _command(self, each: _Claim) -> bytes:
        named = each.rows[self._named[each.rows]]
        added, ids = (part.rows(each.rows) for part in self._parts), self._ids[named]
        written = journal(self._options.known_seconds, self._expire, ids, added)
        return claim(self._options.key, each.name, written, ids, self._records[named])

    def _groups(self, claims: Sequence[_Claim]) -> Iterator[_Group]:
        """Neighbours, as many together as are allowed: the fewer groups, the fewer states are appended to twice."""
        rows = np.concatenate([NO_ROWS, *(each.rows for each in claims)])
        if len(claims) > 1 and sum(part.entities(rows) for part in self._parts) > MOST_STATES:
            half = len(claims) // 2
            yield from self._groups(claims[:half])
            yield from self._groups(claims[half:])
        elif claims:
            names = b"".join(each.name for each in claims)
            yield _Group(claims, (names, *self._written(rows), self._expire, int(self._now)))

    def _written(self, rows: Rows) -> tuple[bytes, bytes, bytes]:
        """The keys of the states that rows append to, how many bytes to each, and the bytes."""
        written = [part.additions(rows) for part in self._parts]
        data = [each for _, states in written for each in states]
        keys = b"".join(states.tobytes() for states, _ in written)
        return keys, struct.pack(f"<{len(data)}I", *map(len, data)), b"".join(data)

    def _entry(self, rows: Rows) -> _Call:
        """Enters rows; those of a small batch read all states before."""
        named = rows[self._named[rows]]
        reads = [len(part.keys) for part in self._parts] if self._small else []
        keys = b"".join(part.keys.tobytes() for part in self._parts) if self._small else b""
        if not self._options.record:
            return _Call(rows, named, reads, self._look(named, keys))
        return _Call(rows, named, reads, (
            "enter", self._ids[named].tobytes(), self._records[named].tobytes(), self._options.known_seconds, keys,
            *self._written(rows), self._expire,
        ))  # fmt: skip

    def _look(self, rows: Rows, keys: bytes = b"") -> tuple[Argument, ...]:
        """The arguments of a call that enters nothing."""
        return ("look", self._ids[rows].tobytes(), "", self._options.known_seconds, keys, "", "", "", 0)

    def _try_again(self, call: _Call) -> None:
        """Without the known rows; the states are of no use where every row has its values."""
        rest = call.rows[~self._silent[call.rows]]
        if len(rest) or (self._small and not all(map(self._has_values, self._known))):
            self._waiting = [*(self._waiting or ()), rest]

    @cached_property
    def _ids(self) -> NDArray[np.void]:
        """Made, like the next ones, when first needed: the states of a large batch are read meanwhile."""
        return self._options.key.transactions.digests(self._texts)

    @cached_property
    def _named(self) -> NDArray[np.bool_]:
        return np.fromiter(map(bool, self._texts), np.bool_, len(self._texts))

    @cached_property
    def _order(self) -> Rows:
        return self._seconds.argsort(kind="stable")

    @cached_property
    def _leaders(self) -> Rows:
        return _leaders(self._texts, self._order)

    @cached_property
    def _silent(self) -> NDArray[np.bool_]:
        silent: NDArray[np.bool_] = self._leaders != np.arange(len(self._texts))
        return silent

    @cached_property
    def _records(self) -> NDArray[np.void]:
        """What each row enters as."""
        records = transactions(self._plan, self._seconds)
        records["block"], records["width"] = np.void(self._block), len(self._plan.windows)
        records["index"] = np.arange(self._table.rows)
        for place, part in enumerate(self._parts[each] for each in labelled(self._plan)):
            records[str(place)][part.batch.places] = part.keys[part.batch.codes]
        return records

    def _take_entered(self, rows: Rows) -> None:
        if self._options.record:
            self._entered[rows] = self._blocks_entered
            self._blocks_entered += 1

    def _take_known(self, rows: Rows, reply: Reply) -> None:
        """Values of another plan, or that are not there, are None."""
        size = 8 * len(self._plan.windows)
        plans, told = np.frombuffer(reply[1], "V8"), np.frombuffer(reply[2], "<u4")
        sizes = np.where(told == NEVER, 0, told)
        ends = np.cumsum(sizes, dtype=np.int64)
        ours = (plans == np.void(self._plan.digest)) & (told != NEVER)
        good = ours & (sizes == size)
        for row, end, usable in zip(rows.tolist(), ends.tolist(), good.tolist(), strict=True):
            self._known[row] = np.frombuffer(reply[3], "<f8", size // 8, end - size) if usable else None
        self._awaited -= set(rows[good].tolist())
        self._awaited |= set(rows[ours & ~good].tolist())
        self._of_other_plans |= set(rows[plans != np.void(self._plan.digest)].tolist())
        self._silent[rows] = True

    def _has_values(self, row: int) -> bool:
        return self._known[row] is not None

    @cached_property
    def _state_keys(self) -> list[bytes]:
        return [STATE + key for part in self._parts for key in part.keys.tolist()]

    def _take_about(self, epoch: bytes | None, loading: bytes | None) -> None:
        self.epoch, self.loading = Epoch.from_bytes(epoch), bool(loading)

    def _take_states(self, counts: Sequence[int], sizes: bytes, states: bytes) -> None:
        lengths, at = np.frombuffer(sizes, "<u4").tolist(), 0
        for part, count in zip(self._parts, counts, strict=False):
            mine, lengths = lengths[:count], lengths[count:]
            part.sizes[:], part.states[:] = mine, [states[at : at + sum(mine)]]
            at += sum(mine)
            self.unusable += part.is_damaged

    def _before(self, part: _Part) -> StoredRecords:
        """What a part's rows find; known ones whose values are gone are taken out: no row sees itself."""
        before, rows = part.before(), self._anew[part.where[self._anew] >= 0]
        if not len(rows):
            return before
        found = RowRemoval(part.layout, before)
        for row, place in zip(rows.tolist(), part.where[rows].tolist(), strict=True):
            merged = row not in self._of_other_plans
            found.take_out(int(part.batch.codes[place]), part.batch.records[place], merged=merged)
        self.muddled |= found.muddled
        return found.left()

    @property
    def _anew(self) -> Rows:
        """Known rows without values: they arrive once more."""
        return np.array([row for row, values in list(self._known.items()) if values is None], dtype=np.int64)

    def _counting(self, part: _Part) -> Batch:
        """The rows of a part; those that are known, or a row once more, add nothing: they are in what was before."""
        silent = self._silent.copy()
        silent[self._anew] = False
        silent = silent[part.batch.places]
        if not silent.any():
            return part.batch
        records = part.batch.records.copy()
        records[silent] = part.layout.nothing(int(silent.sum()))
        records["bucket"] = part.batch.records["bucket"]
        return replace(part.batch, records=records)

    def _as_the_first_time(self, found: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        """The kept values of known rows; those of a row whose id stands in the table twice are the first one's."""
        matrix = np.array([found[name] for name in self._plan.names])
        known = {row: values for row, values in list(self._known.items()) if values is not None}
        if known:
            matrix[:, list(known)] = np.array(list(known.values())).T
        return dict(zip(self._plan.names, matrix[:, self._leaders], strict=True))

    def _merge(self, part: _Part, code: int) -> list[bytes]:
        now = part.state(code) + b"".join(self._appended(part, code))
        records = np.frombuffer(now, part.layout.dtype)
        newest = min(self._now, float(np.nanmax(self._seconds)))
        oldest = newest / part.layout.bucket - 2 * self._plan.oldest[part.layout]
        needed = records[records["bucket"] >= oldest]
        _, merged = part.layout.merged(needed["bucket"].astype(np.int64), needed)
        return [part.keys[code].tobytes(), now, merged.tobytes()] if len(merged) <= SHRUNK * len(records) else []

    def _appended(self, part: _Part, code: int) -> list[bytes]:
        """What the blocks have appended to a state, in their order."""
        mine = np.flatnonzero(part.batch.codes == code)
        blocks = self._entered[part.batch.places[mine]]
        written = []
        for block in np.unique(blocks[blocks >= 0]).tolist():
            rows = mine[blocks == block]
            written += added(part.layout, part.batch.codes[rows], part.batch.records[rows])[1]
        return written


def _blocks(rows: Rows, size: int) -> list[Rows]:
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def _longest(part: _Part, entered: NDArray[np.bool_]) -> list[int]:
    """The entities with the longest states, up to MOST_MERGED bytes; each is looked at once in LOOKED_AT records."""
    rows = np.bincount(part.batch.codes[entered[part.batch.places]], minlength=len(part.sizes))
    sizes = np.array(part.sizes, dtype=np.int64)
    counts, rest = np.divmod(sizes, part.layout.dtype.itemsize)
    passed = counts // LOOKED_AT != (counts + rows) // LOOKED_AT
    long = np.flatnonzero((counts >= LONG) & passed & (rest == 0))  # A damaged state cannot be read.
    longest = long[np.argsort(-sizes[long], kind="stable")]
    some: list[int] = longest[np.cumsum(sizes[longest]) <= max(MOST_MERGED, sizes.max(initial=0))].tolist()
    return some


def _leaders(ids: Sequence[str], order: Rows) -> Rows:
    """For each row the first one in this order with its id; rows without an id lead themselves."""
    if len(set(ids)) == len(ids):  # The usual case, in a tenth of the time.
        return np.arange(len(ids))
    codes, distinct = numbered([ids[row] for row in order.tolist()])
    firsts = np.full(len(distinct), -1, dtype=np.int64)
    firsts[codes[::-1]] = order[::-1]
    leaders = np.empty(len(ids), dtype=np.int64)
    leaders[order] = firsts[codes]
    if "" in distinct:
        nameless = np.flatnonzero([not text for text in ids])
        leaders[nameless] = nameless
    return leaders
