"""The exchange with Redis by which a batch of transactions is counted and gets its history values. No I/O.

`BatchSession` says what to send and takes the replies; whoever has a connection sends and receives (as in h11). A batch
of at most SMALL_BATCH_ROWS rows is one call of the script ENTER, which reads and enters::

    session = BatchSession(plan, table, ids, options, now)
    while calls := session.entry_calls():
        session.receive_entries(the reply of ENTER to each call, in the same order)
    values = session.values()

A larger one reads all states first and then claims its rows in blocks (`history.journal`), so that Redis is never busy
with it for long; its values can be computed meanwhile::

    session.receive_states(the reply of MGET to each of session.state_reads())
    while session.has_unclaimed:
        send REGISTER with session.registration()
        session.receive_claims(the reply to each of session.claim_commands())
        while calls := session.apply_calls():
            session.receive_applied(the reply of APPLY to each call)
        while calls := session.entry_calls():
            session.receive_entries(the reply of ENTER to each call)
            session.receive_chunks(the reply of MGET to each of session.chunk_reads())

Rules, which every path through this file keeps:

 1. An id counts once. A row whose id Redis knows, or that a row of the table before it (rule 3) has, adds nothing.
 2. A row without an id counts each time that it comes.
 3. Rows are counted in order of time, whatever their order in the table; equal times stay in the order of the table.
 4. A row sees what was in Redis before its batch and the rows of its batch that were counted before it, never itself.
 5. A call of ENTER enters all of its rows or none. Where one is known, the others are sent again without it.
 6. Of a small batch, what is read and what enters are one call: no other batch comes between.
 7. A journal is registered before it is claimed and claimed before it is applied; it is applied once, here or by
    RECOVER (`history.journal` says why).
 8. A repeat gets the values that the first request with its id got. Where these are gone, or are of another plan, they
    are computed anew: the transaction is first removed from what was read, or it would see itself (rule 4). Where it
    cannot be told apart from others any more, `inexact` says so. A row whose id Redis knows of another transaction, by
    its time or by the states that labels change, is no repeat of it: its values are its own, it is not counted (rule
    1), and `reused_ids` has it.
 9. What is no state, or is damaged, counts as empty, and `unreadable_states` counts it.
10. Without `HistoryOptions.record` nothing is written.
"""

import itertools
import math
import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contract.table import Table
from history.epoch import EPOCH, LOADING, Epoch
from history.evaluation import ArrivingRows, StoredRecords, arriving_rows, evaluate
from history.journal import MAX_PARTS, claim_command, encode_journal, register_arguments, state_parts
from history.keyed_hash import UNKEYED, HistoryKey
from history.known_ids import BLOCK_ID_BYTES, noted
from history.known_rows import KnownRows
from history.layout import CODE_BITS, RecordLayout, Rows, factorize, sort_keys, taken
from history.plan import Plan
from history.redis_schema import (
    STATE,
    Arguments,
    fraud_layouts,
    merged_by_entity,
    state_keys,
)
from history.removal import RowRemoval
from history.short_records import decode_records, encode_records
from history.stored_values import CHUNK_ROWS, encode_chunks
from history.transaction_blocks import STATE_KEY_BYTES, States, checksums, encode_block

SMALL_BATCH_ROWS = 500
"""The most rows of a small batch, which one call enters: 2 to 4 ms of Redis' time."""
CLAIM_ROWS = 500
"""Rows of a large batch that share a journal: few enough that Redis is never busy with one for long."""
READ_STATES = 1_000
"""States that one MGET reads: several megabytes, if their entities are busy."""
APPLY_STATES, APPLY_BYTES = 500, 250_000
"""States that one call of APPLY appends to, and bytes that it appends: about a millisecond of Redis' time."""
MERGE_MIN_RECORDS = 64
"""Records of a state from which it may be merged."""
MERGE_CHECK_GROWTH = 1.25
"""A long state is checked whenever its number of records passes a power of this: one whose records are all of other
buckets stays as long as it is, and to find that out costs as much as to merge it."""
MERGE_MAX_BYTES = 1_000_000
"""Bytes of the states that one batch merges at most."""
MERGE_MAX_SHARE = 0.75
"""Of its records: a merge that leaves more than this share is not written."""
MIN_NEW_ENTITIES = 20
"""From which on it is odd that none has been seen before."""
EXPIRY_MARGIN = 2 * 86_400
"""Seconds that a state is kept beyond the longest window."""

Reply = Sequence[bytes]
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
class _StoredStates:
    """States of one layout as they were read: the bytes of each, all of them joined, their records, the damaged."""

    sizes: Rows
    states: bytes
    records: StoredRecords
    damaged: NDArray[np.bool_]

    def state(self, code: int) -> bytes:
        """The bytes of one entity's state."""
        begin = int(self.sizes[:code].sum())
        return self.states[begin : begin + int(self.sizes[code])]


@dataclass(frozen=True, slots=True, eq=False)
class _LayoutRows:
    """The rows of one layout of the plan, and the states of their entities.

    Attributes:
        arriving: the rows that have an entity and a time.
        where: place of each row of the table in the batch, -1 where it has none; shape (table rows,).
        keys: of the states, by the entity's code; shape (entities,).
        stored: what was read of the states; one item, or none before anything was read.
    """

    layout: RecordLayout
    arriving: ArrivingRows
    where: Rows
    keys: NDArray[np.void]
    stored: list["_StoredStates"]

    def receive(self, sizes: Rows, states: bytes) -> bool:
        """Takes the joined states, and the bytes of each by the entity's code; whether one is damaged."""
        records, damaged = decode_records(self.layout, sizes, states)
        self.stored[:] = [_StoredStates(sizes, states, records, damaged)]
        return bool(damaged.any())

    @property
    def before(self) -> StoredRecords:
        """The records that were read."""
        return self.stored[0].records if self.stored else StoredRecords(NO_ROWS, self.layout.identity_records(0))

    def keys_and_records(self, rows: Rows) -> tuple[NDArray[np.void], NDArray[np.void]]:
        """What these rows of the table add, one by one: the key of the state, and the record."""
        places = self._places(rows)
        return self.keys.take(self.arriving.codes[places]), taken(self.arriving.records, places)

    @property
    def numbered_states(self) -> tuple[Rows, NDArray[np.void]]:
        """The number of each row's state, -1 where it has none; and the keys of the states."""
        codes = np.full(len(self.where), -1, dtype=np.int64)
        codes[self.arriving.places] = self.arriving.codes
        return codes, self.keys

    def appended(self, rows: Rows) -> tuple[NDArray[np.void], list[bytes]]:
        """What these rows of the table append, and to which states."""
        places = self._places(rows)
        codes, data = merged_by_entity(self.layout, self.arriving.codes[places], taken(self.arriving.records, places))
        return self.keys[codes], data

    def _places(self, rows: Rows) -> Rows:
        """In order of time, so that equal rows give equal bytes."""
        places = self.where[rows]
        places = places[places >= 0]
        places.sort()
        return places


@dataclass(frozen=True, slots=True, eq=False)
class _EntryCall:
    """One call of the script ENTER.

    Attributes:
        rows: positions in the table, in order of time.
        with_id: those of them that have an id.
        state_counts: how many states of each layout it reads; empty where it reads none.
    """

    rows: Rows
    with_id: Rows
    state_counts: Sequence[int]
    arguments: Arguments


@dataclass(frozen=True, slots=True, eq=False)
class _JournalBlock:
    """Rows of a large batch that enter together, in order of time, and the name of their journal."""

    rows: Rows
    name: bytes


@dataclass(frozen=True, slots=True, eq=False)
class _ApplyCall:
    """Journals of which one call of APPLY applies one part."""

    blocks: Sequence[_JournalBlock]
    part: int
    arguments: Arguments


class BatchSession:
    """The exchange of one batch; the rules are in the module's docstring.

    Attributes:
        large: whether the states are read before the rows enter.
        epoch: of Redis when it was read; None where it had none.
        loading: whether the past of the first model was being loaded when Redis was read.
        unreadable_states: how many keys hold no state, or a damaged one (rule 9).
        inexact: whether `values`, when it was last called, computed values anew that may include their own transaction
            (rule 8).
        block_id: the name under which Redis keeps this batch's values and answers, by the rows' positions in the table.
    """

    def __init__(self, plan: Plan, table: Table, ids: Sequence[str], options: HistoryOptions, now: float) -> None:
        """Takes the rows, and their ids in the order of the table; an empty text is no id.

        `now` is in seconds since 1970; what is older than any window by it may be forgotten.
        """
        self._plan = plan
        self._table = table
        self._ids = ids
        self._options = options
        self._now = now
        self._seconds: NDArray[np.float64] = table.columns[plan.time]
        self._parts = [self._layout_rows(layout) for layout in plan.layouts]
        self.block_id = os.urandom(BLOCK_ID_BYTES)
        self._known = KnownRows(plan, table.rows)
        self._entry_numbers = np.full(table.rows, -1, dtype=np.int64)
        self._entry_count = 0
        self._expire = plan.seconds + EXPIRY_MARGIN if options.record else 0
        self.large = table.rows > SMALL_BATCH_ROWS
        self._journaled = options.record and self.large
        self._encoded: tuple[Mapping[str, NDArray[np.float64]] | None, Sequence[bytes]] = (None, ())
        self._registered: list[_JournalBlock] = []
        self._claimed: list[_JournalBlock] = []
        self._prepared_calls: tuple[Sequence[_JournalBlock], Sequence[_ApplyCall]] = ((), ())
        self._sent_calls: list[_ApplyCall] = []
        self._is_appending = False
        self._partly_applied: list[_ApplyCall] = []
        self._journal_numbers = itertools.count(1)
        self._queue: list[Rows] | None = None
        self._lookups: list[_EntryCall] = []
        self._sent: Sequence[_EntryCall] = ()
        self._absent_states: list[bytes] = []
        self.epoch: Epoch | None = None
        self.loading = False
        self.unreadable_states = 0
        self.inexact = False

    def state_reads(self) -> list[list[bytes]]:
        """The arguments of each MGET that reads the states of a large batch; the last one reads the epoch."""
        keys = self._state_keys
        return [*(keys[at : at + READ_STATES] for at in range(0, len(keys), READ_STATES)), [EPOCH, LOADING]]

    def receive_states(self, replies: Iterable[Sequence[bytes | None]]) -> None:
        """Takes the reply to each read; a state that does not exist is None."""
        *replies, epoch = replies
        self._update_epoch(*epoch)
        result = [state for reply in replies for state in reply]
        self._absent_states = [key for key, state in zip(self._state_keys, result, strict=True) if state is None]
        states = [state or b"" for state in result]
        for part in self._parts:
            own, states = states[: len(part.keys)], states[len(part.keys) :]
            sizes = np.fromiter(map(len, own), np.int64, len(own))
            self.unreadable_states += part.receive(sizes, b"".join(own))

    def type_checks(self) -> list[Arguments]:
        """The arguments of each call of COUNT_NON_STATES: MGET passes over keys of another type.

        None where rows enter: then APPLY counts them.
        """
        if self._options.record:
            return []
        keys = [key.removeprefix(STATE) for key in self._absent_states]
        return [(b"".join(keys[at : at + READ_STATES]),) for at in range(0, len(keys), READ_STATES)]

    def receive_type_checks(self, replies: Sequence[int]) -> None:
        """Takes the reply to each call."""
        self.unreadable_states += sum(replies)

    def prepare(self) -> None:
        """Computes what needs no reply, while the states of a large batch are read."""
        self._queue = self._dequeue()
        _ = self._digests, self._has_id, self._block

    def prepare_appending(self) -> None:
        """Computes the calls of APPLY for all that is registered, while Redis claims it."""
        blocks = self._registered
        if not self._is_appending:  # Or else Redis was quicker.
            self._prepared_calls = blocks, list(self._apply_calls(blocks))

    def prepare_values(self, values: Mapping[str, NDArray[np.float64]]) -> None:
        """Encodes values for `store_arguments`, while Redis is busy with the batch."""
        if self._journaled:
            self._encoded = values, self._encode(values)

    def entry_calls(self) -> list[Arguments]:
        """The arguments of each call of ENTER to make now, in this order; none when all is known or has entered."""
        queued = [] if self._journaled else self._dequeue()
        self._sent, self._lookups = [*map(self._entry_call, queued), *self._lookups], []
        return [call.arguments for call in self._sent]

    @property
    def has_unclaimed(self) -> bool:
        """Whether rows of a large batch have still to be claimed."""
        return self._journaled and (self._queue is None or len(self._queue) > 0)

    def registration(self) -> Arguments:
        """The arguments of REGISTER, which must have succeeded before any of the journals is claimed (rule 7)."""
        self._registered = [
            _JournalBlock(rows, self.block_id + struct.pack("<I", next(self._journal_numbers)))
            for rows in self._dequeue()
        ]
        names = [each.name for each in self._registered]
        return register_arguments(names, self._now, self.block_id, self._block, self._options.known_seconds)

    def claim_commands(self) -> Iterator[bytes]:
        """The commands that claim the registered journals, in this order."""
        yield from map(self._claim_command, self._registered)

    def receive_claims(self, replies: Sequence[int]) -> None:
        """Takes the reply to each command; a block with a known row was not claimed, and is looked up."""
        for each, claimed in zip(self._registered, replies, strict=True):
            if claimed:
                self._claimed.append(each)
            else:
                with_id = each.rows[self._has_id[each.rows]]
                self._lookups.append(_EntryCall(each.rows, with_id, (), self._lookup_arguments("find", with_id)))

    def apply_calls(self) -> list[Arguments]:
        """The arguments of each call of APPLY for what was claimed since the last time; none where nothing was."""
        claimed, self._claimed = self._claimed, []
        resent, self._partly_applied = self._partly_applied, []
        all_claimed = len(claimed) == len(self._registered)
        (blocks, prepared), self._prepared_calls = self._prepared_calls, ((), ())
        usable = all_claimed and blocks is self._registered
        self._is_appending |= len(claimed) > 0
        self._sent_calls = [*(prepared if usable else self._apply_calls(claimed)), *resent]
        return [call.arguments for call in self._sent_calls]

    def receive_applied(self, replies: Sequence[int]) -> None:
        """Takes the reply to each call; where RECOVER has applied some of its journals, each is sent by itself."""
        for call, applied in zip(self._sent_calls, replies, strict=True):
            self.unreadable_states += max(applied - 1, 0)
            if not applied and len(call.blocks) > 1:
                singles = [single for each in call.blocks for single in self._apply_calls([each])]
                self._partly_applied += [single for single in singles if single.part == call.part]
            elif call.part == self._parts_count - 1:
                self._mark_entered(np.concatenate([each.rows for each in call.blocks]))

    def receive_entries(self, replies: Iterable[Reply]) -> None:
        """Takes the reply to each call; where one met known rows, nothing entered: its other rows are queued again."""
        for call, reply in zip(self._sent, replies, strict=True):
            self._update_epoch(reply[6], reply[7])
            if reply[0]:
                known = call.with_id[np.frombuffer(reply[0], "<u4")]
                self._known.receive(known, reply, self._checksums(known))
                self._is_repeat[known] = True
            if call.arguments[0] == "enter" and not reply[0]:
                self._mark_entered(call.rows)
            elif self._options.record:
                self._requeue(call)
                continue
            self._store_states(call.state_counts, reply[4], reply[5])

    def chunk_reads(self) -> list[list[bytes]]:
        """The arguments of each MGET that reads values of known rows; of a small batch the calls of ENTER read them."""
        return self._known.chunk_reads()

    def receive_chunks(self, replies: Iterable[Sequence[bytes | None]]) -> None:
        """Takes the reply to each read; rows whose values are not there are looked up, with the next calls of ENTER."""
        self._look_up("look", self._known.receive_chunks(replies))

    @property
    def reused_ids(self) -> Rows:
        """The rows whose id Redis knows of another transaction (rule 8)."""
        return self._known.reused

    @property
    def repeats(self) -> int:
        """How many rows are known already."""
        return self._known.count

    @property
    def awaiting_values(self) -> Rows:
        """Known rows whose values are not written yet: the request that entered them is under way, or was just cut off.

        Rows that have values of another plan, never had any, or entered long ago are not among them.
        """
        return self._known.awaiting

    def retry_lookups(self) -> None:
        """Looks the rows of `awaiting_values` up again, with the next calls."""
        self._look_up("find" if self.large else "look", self.awaiting_values)

    def _look_up(self, mode: str, rows: Rows) -> None:
        for at in range(0, len(rows), SMALL_BATCH_ROWS):
            own = rows[at : at + SMALL_BATCH_ROWS]
            self._lookups.append(_EntryCall(own, own, (), self._lookup_arguments(mode, own)))

    def values(self) -> dict[str, NDArray[np.float64]]:
        """Each history feature of each row of the table, shape (rows,), by name."""
        self.inexact = False
        columns, rows = self._table.columns, self._table.rows
        whole = all(len(part.arriving.places) == rows for part in self._parts)
        result = {} if whole else self._plan.default_values(columns, rows)
        for part, (_, windows) in zip(self._parts, self._plan.parts, strict=True):
            if not windows:
                continue
            before, arriving = self._stored_without_repeats(part), self._new_records(part)
            in_order = whole and bool((arriving.places[1:] > arriving.places[:-1]).all())
            for name, values in evaluate(windows, before, arriving, columns).items():
                if in_order:
                    result[name] = values
                else:
                    result.setdefault(name, np.empty(rows))[arriving.places] = values
        return self._with_first_values(result) if self._is_repeat.any() else result

    def store_arguments(self, values: Mapping[str, NDArray[np.float64]] | None) -> Arguments:
        """The arguments of the script STORE_VALUES, once all has entered; none where no row with an id has.

        Without values it is stored that there are none: a repeat then computes its own.
        """
        if not self.entered_count:
            return ()
        if values is None:
            chunks: Sequence[bytes] = [b""] * -(-self._table.rows // CHUNK_ROWS)
        else:
            chunks = self._encoded[1] if self._encoded[0] is values else self._encode(values)
        self._encoded = None, ()
        return (self.block_id, self._options.values_seconds, 0, *chunks)

    def _encode(self, values: Mapping[str, NDArray[np.float64]]) -> Sequence[bytes]:
        return list(encode_chunks(np.array([values[name] for name in self._plan.names], dtype="<f8").T))

    def merge_arguments(self) -> tuple[bytes, ...]:
        """The arguments of the script MERGE, for long states; none where there is nothing to merge."""
        entered = self._entry_numbers >= 0
        return tuple(
            each
            for part in self._parts
            if len(codes := _mergeable(part, entered))
            for each in self._merge_states(part, codes)
        )

    @property
    def new_entities(self) -> dict[str, int]:
        """The columns of many entities of none of which Redis had a state, and how many rows have one; by name."""
        counts: dict[str, int] = {}
        for part in self._parts:
            known = not part.stored or len(part.keys) < MIN_NEW_ENTITIES or part.stored[0].sizes.any()
            counts[part.layout.entity] = 0 if known else counts.get(part.layout.entity, len(part.arriving.places))
        return {name: count for name, count in counts.items() if count}

    @property
    def has_entered(self) -> bool:
        """Whether any row has entered."""
        return self._entry_count > 0

    @property
    def entered_count(self) -> int:
        """How many rows have entered and have an id."""
        return int(((self._entry_numbers >= 0) & self._has_id).sum())

    def _layout_rows(self, layout: RecordLayout) -> _LayoutRows:
        rows = arriving_rows(layout, self._table.columns, self._table.encoded)
        where = np.full(self._table.rows, -1, dtype=np.int64)
        where[rows.places] = np.arange(len(rows.places))
        return _LayoutRows(layout, rows, where, state_keys(layout, rows.entities, self._options.key), [])

    def _dequeue(self) -> list[Rows]:
        """The blocks of rows that are to be sent, and empties the queue; at first these are all rows."""
        if self._queue is None:
            rows = self._order[~self._is_repeat[self._order]]
            size = CLAIM_ROWS if self._journaled else SMALL_BATCH_ROWS
            self._queue = [rows[at : at + size] for at in range(0, len(rows), size)] if self.large else [rows]
        queued, self._queue = self._queue, []
        return queued

    def _claim_command(self, each: _JournalBlock) -> bytes:
        with_id = each.rows[self._has_id[each.rows]]
        journal = encode_journal(self._expire, self._parts_count, (p.keys_and_records(each.rows) for p in self._parts))
        keep, ids = self._options.known_seconds, self._digests[with_id]
        return claim_command(self._options.key, keep, (each.name, journal), (ids, noted(self.block_id, with_id)))

    @cached_property
    def _parts_count(self) -> int:
        """Into how many parts the states are cut, so that Redis is never busy with one for long."""
        size = sum(part.arriving.records.nbytes for part in self._parts) + len(self._state_keys) * STATE_KEY_BYTES
        needed = max(len(self._state_keys) / APPLY_STATES, size / APPLY_BYTES)
        return max(1, min(MAX_PARTS, math.ceil(needed)))

    def _apply_calls(self, blocks: Sequence[_JournalBlock]) -> Iterator[_ApplyCall]:
        """One call for each part of the states: each state is appended to once."""
        if not blocks:
            return
        rows, names = np.concatenate([each.rows for each in blocks]), b"".join(each.name for each in blocks)
        keys, data = self._appended(rows)
        parts = state_parts(keys, self._parts_count)
        for part in range(self._parts_count):
            places = np.flatnonzero(parts == part)
            written = _joined(keys[places], [data[place] for place in places.tolist()])
            arguments = (names, part, self._parts_count, *written, self._expire, int(self._now))
            yield _ApplyCall(blocks, part, arguments)

    def _appended(self, rows: Rows) -> tuple[NDArray[np.void], list[bytes]]:
        """The keys of the states that rows append to, and what they append to each."""
        written = [part.appended(rows) for part in self._parts]
        return np.concatenate([keys for keys, _ in written]), [each for _, states in written for each in states]

    def _entry_call(self, rows: Rows) -> _EntryCall:
        """Enters rows, or looks them up; a small batch reads all states in the same call."""
        with_id = rows[self._has_id[rows]]
        state_counts = [] if self.large else [len(part.keys) for part in self._parts]
        keys = b"" if self.large else b"".join(part.keys.tobytes() for part in self._parts)
        if not self._options.record:
            mode = "find" if self.large else "look"
            return _EntryCall(rows, with_id, state_counts, self._lookup_arguments(mode, with_id, keys))
        ids, wheres = self._digests[with_id].tobytes(), noted(self.block_id, with_id).tobytes()
        written = (*_joined(*self._appended(rows)), self._expire, self.block_id, self._block)
        arguments = ("enter", ids, wheres, self._options.known_seconds, keys, *written)
        return _EntryCall(rows, with_id, state_counts, arguments)

    def _lookup_arguments(self, mode: str, rows: Rows, keys: bytes = b"") -> Arguments:
        """The arguments of a call that enters nothing."""
        return (mode, self._digests[rows].tobytes(), "", self._options.known_seconds, keys, "", "", "", 0, "", "")

    def _requeue(self, call: _EntryCall) -> None:
        """Queues the unknown rows of a call; of a small batch even none of them, where its states are still needed."""
        rest = call.rows[~self._is_repeat[call.rows]]
        if len(rest) or (not self.large and len(self._known.without_values)):
            self._queue = [*(self._queue or ()), rest]

    @cached_property
    def _digests(self) -> NDArray[np.void]:
        """Computed when first used, as the next ones: of a large batch while its states are read."""
        return self._options.key.transactions.digests(self._ids)

    @cached_property
    def _has_id(self) -> NDArray[np.bool_]:
        return np.fromiter(map(bool, self._ids), np.bool_, len(self._ids))

    @cached_property
    def _order(self) -> Rows:
        return self._seconds.argsort(kind="stable")

    @cached_property
    def _first_rows(self) -> Rows:
        """For each row the first one in order of time with its id; for a row without an id itself."""
        ids, order = self._ids, self._order
        if len(set(ids)) == len(ids):  # The usual case, in a tenth of the time.
            return np.arange(len(ids))
        codes, distinct = factorize([ids[row] for row in order.tolist()])
        firsts = np.full(len(distinct), -1, dtype=np.int64)
        firsts[codes[::-1]] = order[::-1]
        first_rows = np.empty(len(ids), dtype=np.int64)
        first_rows[order] = firsts[codes]
        if "" in distinct:
            first_rows[~self._has_id] = np.flatnonzero(~self._has_id)
        return first_rows

    @cached_property
    def _is_repeat(self) -> NDArray[np.bool_]:
        is_repeat: NDArray[np.bool_] = self._first_rows != np.arange(len(self._ids))
        return is_repeat

    @cached_property
    def _block(self) -> bytes:
        """What Redis keeps of the transactions, whether they enter or not."""
        return encode_block(self._plan, self._seconds, self._numbered_states, has_values=True)

    @cached_property
    def _numbered_states(self) -> States:
        return [self._parts[place].numbered_states for place in fraud_layouts(self._plan)]

    def _checksums(self, rows: Rows) -> NDArray[np.uint16]:
        return checksums(self._seconds[rows], [(codes[rows], keys) for codes, keys in self._numbered_states])

    def _mark_entered(self, rows: Rows) -> None:
        if self._options.record:
            self._entry_numbers[rows] = self._entry_count
            self._entry_count += 1

    @cached_property
    def _state_keys(self) -> list[bytes]:
        return [STATE + key for part in self._parts for key in part.keys.tolist()]

    def _update_epoch(self, epoch: bytes | None, loading: bytes | None) -> None:
        self.epoch, self.loading = Epoch.from_bytes(epoch), bool(loading)

    def _store_states(self, counts: Sequence[int], sizes: bytes, states: bytes) -> None:
        lengths, at = np.frombuffer(sizes, "<u4").astype(np.int64), 0
        for part, count in zip(self._parts, counts, strict=False):
            own, lengths = lengths[:count], lengths[count:]
            end = at + int(own.sum())
            self.unreadable_states += part.receive(own, states[at:end])
            at = end

    def _stored_without_repeats(self, part: _LayoutRows) -> StoredRecords:
        """The records that were read, without the known rows whose values are computed anew (rule 8)."""
        before = part.before
        rows = self._known.counted_without_values
        rows = rows[part.where[rows] >= 0]
        if not len(rows):
            return before
        removal = RowRemoval(part.layout, before)
        for row, place in zip(rows.tolist(), part.where[rows].tolist(), strict=True):
            merged = not self._known.of_other_plan[row]
            removal.remove(int(part.arriving.codes[place]), part.arriving.records[place], merged=merged)
        self.inexact |= removal.inexact
        return removal.remaining()

    def _new_records(self, part: _LayoutRows) -> ArrivingRows:
        """The rows of a layout, of which repeats add nothing (rule 1)."""
        is_repeat = self._is_repeat.copy()
        is_repeat[self._known.counted_without_values] = False
        is_repeat = is_repeat[part.arriving.places]
        if not is_repeat.any():
            return part.arriving
        records = part.arriving.records.copy()
        records[is_repeat] = part.layout.identity_records(int(is_repeat.sum()))
        records["bucket"] = part.arriving.records["bucket"]
        return replace(part.arriving, records=records)

    def _with_first_values(self, result: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        """With the stored values of known rows; a row has those of the first row of the table with its id."""
        matrix = self._known.replaced(result)
        return dict(zip(self._plan.names, matrix[:, self._first_rows], strict=True))

    def _merge_states(self, part: _LayoutRows, codes: Rows) -> Iterator[bytes]:
        """What MERGE takes for the states of these entities, whose codes ascend."""
        more = self._appended_to(part, codes)
        states = [part.stored[0].state(code) + b"".join(more[code]) for code in codes.tolist()]
        stored, _ = decode_records(part.layout, np.fromiter(map(len, states), np.int64, len(states)), b"".join(states))
        newest = min(self._now, float(np.nanmax(self._seconds)))
        oldest = newest / part.layout.bucket - 2 * self._plan.oldest[part.layout]
        needed = np.flatnonzero(stored.records["bucket"] >= oldest)
        records = taken(stored.records, needed)
        keys, records = part.layout.merged(sort_keys(stored.codes[needed], records["bucket"]), records)
        places = keys >> CODE_BITS
        counts, left = (np.bincount(each, minlength=len(codes)) for each in (stored.codes, places))
        is_worth = left <= MERGE_MAX_SHARE * counts
        chosen = np.flatnonzero(is_worth[places])
        numbers, encoded = encode_records(part.layout, places[chosen], taken(records, chosen))
        merged = dict(zip(numbers.tolist(), encoded, strict=True))
        for place in np.flatnonzero(is_worth).tolist():
            yield from (part.keys[codes[place]].tobytes(), states[place], merged.get(place, b""))

    def _appended_to(self, part: _LayoutRows, codes: Rows) -> Mapping[int, Sequence[bytes]]:
        """What each entry has appended to these states, in their order; by the entity's code."""
        is_chosen = np.zeros(len(part.keys), np.bool_)
        is_chosen[codes] = True
        own = np.flatnonzero(is_chosen[part.arriving.codes])
        entries = self._entry_numbers[part.arriving.places[own]]
        written: dict[int, list[bytes]] = {code: [] for code in codes.tolist()}
        for entry in np.unique(entries[entries >= 0]).tolist():
            rows = own[entries == entry]
            numbers, states = merged_by_entity(
                part.layout, part.arriving.codes[rows], taken(part.arriving.records, rows)
            )
            for code, state in zip(numbers.tolist(), states, strict=True):
                written[code].append(state)
        return written


def _joined(keys: NDArray[np.void], data: Sequence[bytes]) -> tuple[bytes, bytes, bytes]:
    """The keys of states, how many bytes are appended to each, and the bytes, as scripts take them."""
    return keys.tobytes(), struct.pack(f"<{len(data)}I", *map(len, data)), b"".join(data)


def _mergeable(part: _LayoutRows, entered: NDArray[np.bool_]) -> Rows:
    """The entities with the longest states, up to MERGE_MAX_BYTES; each is checked as MERGE_CHECK_GROWTH says."""
    if not part.stored:
        return NO_ROWS
    sizes = part.stored[0].sizes
    counts = np.bincount(part.before.codes, minlength=len(sizes))  # None of a damaged state.
    if not (counts >= MERGE_MIN_RECORDS).any():
        return NO_ROWS
    rows = np.bincount(part.arriving.codes[entered[part.arriving.places]], minlength=len(sizes))
    before, after = (np.log(np.maximum(each, 1)) // math.log(MERGE_CHECK_GROWTH) for each in (counts, counts + rows))
    long = np.flatnonzero((counts >= MERGE_MIN_RECORDS) & (before != after))
    longest = long[np.argsort(-sizes[long], kind="stable")]
    return np.sort(longest[np.cumsum(sizes[longest]) <= max(MERGE_MAX_BYTES, sizes.max(initial=0))])
