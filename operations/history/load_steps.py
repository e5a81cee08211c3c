"""The steps by which past transactions enter Redis. No I/O.

Each transaction counts once in each state, whatever was scored or loaded before:

1. Those younger than the horizon enter by their ids, as live ones do (`IdStep`): Redis knows them for KNOWN_DAYS,
   counted back from the newest one. One that is known already counts only in the states that the plan of its record
   did not have, those of a version with other windows; that it counts there is claimed by another digest.
2. Older ones, whose ids have expired, count by entity (`EntityStep`): not in a state that already holds records from
   before the horizon.
3. The steps and their order follow from the transactions, the plan and the horizon alone. Each is one call of the
   script ENTER, which notes in the same moment that it is done.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.labels import FRAUD, UNLABELLED
from history.evaluation import bucket_of
from history.keyed_hash import ID_BYTES, HistoryKey
from history.known_ids import BLOCK_ID_BYTES, LABEL, WHERE, noted
from history.layout import CODE_BITS, DIGEST_BYTES, MAX_BUCKET, RecordLayout, Records, Rows, sort_keys
from history.plan import Plan
from history.redis_schema import (
    Arguments,
    fraud_layouts,
    state_keys,
)
from history.session import EXPIRY_MARGIN, Reply
from history.short_records import decode_records, encode_records
from history.transaction_blocks import encode_block
from operations.history.past_transactions import PastTransactions, effective_seconds

ENTITY_STEP_STATES, ENTITY_STEP_RECORDS = 2_000, 20_000
"""States, and records, that one step writes: about 10 ms of Redis' time."""
ID_STEP_ROWS = 2_000
"""Transactions that one step enters, at most: about 10 ms of Redis' time."""
MAX_CLAIMS = 3_500
"""Of one step: the script hands them to a command as arguments, of which it may have 8,000 with their values."""
TIME_SLICES = 10
"""From the horizon on: the transactions of a step are known as long as its newest one, so some a tenth longer."""
ALL_LAYOUTS = -1

PlanLayouts = Mapping[bytes, frozenset[bytes]]
"""The digests of the layouts of each plan that is known, by its digest."""


class LayoutTransactions:
    """The records that the transactions add to the states of one layout.

    Attributes:
        keys: the key of each entity's state, without its prefix, by the entity's code.
        usable: which transactions have an entity, and a time within the range of MAX_BUCKET; shape (rows,).
    """

    def __init__(self, layout: RecordLayout, past: PastTransactions, key: HistoryKey) -> None:
        texts = past.texts[layout.entity]
        self._past = past
        self._buckets = bucket_of(past.seconds, layout.bucket)
        self.layout = layout
        self.keys: NDArray[np.void] = state_keys(layout, texts.tolist(), key)
        self.codes = past.codes[layout.entity]
        self.usable: NDArray[np.bool_] = (np.abs(self._buckets) < MAX_BUCKET) & (texts != "")[self.codes]

    def merged(self, rows: Rows) -> tuple[NDArray[np.int64], Records]:
        """What rows add, their frauds too, as one record for each bucket: sort keys, ascending, and records."""
        rows = rows[self.usable[rows]]
        codes, buckets = self.codes[rows], self._buckets[rows]
        columns = self._past.columns((*self.layout.sums, *self.layout.sets), rows)
        records = self.layout.records(columns, buckets, self._past.seconds[rows])
        if self.layout.delay is not None:
            frauds, fraud_buckets = self._frauds(rows)
            records = np.concatenate([records, self.layout.frauds(fraud_buckets)], dtype=self.layout.dtype)
            codes, buckets = np.append(codes, self.codes[frauds]), np.append(buckets, fraud_buckets)
        return self.layout.merged(sort_keys(codes, buckets), records)

    def _frauds(self, rows: Rows) -> tuple[Rows, Rows]:
        """The frauds among rows, and the buckets they count in; without a confirmation, those of their time."""
        rows = rows[self._past.labels[rows] == FRAUD]
        confirmed = self._past.confirmed[rows]
        seconds = np.where(np.isnan(confirmed), -np.inf, confirmed)
        buckets = bucket_of(self.layout.fraud_seconds(self._past.seconds[rows], seconds), self.layout.bucket)
        usable = np.abs(buckets) < MAX_BUCKET
        return rows[usable], buckets[usable]


class LoadSteps:
    """All steps of a load, those by entity first."""

    def __init__(self, plan: Plan, past: PastTransactions, horizon: float, plans: PlanLayouts, key: HistoryKey) -> None:
        """Takes the time from which on transactions enter by their ids, and what these are keyed with."""
        layouts = [LayoutTransactions(layout, past, key) for layout in plan.layouts]
        self._shared = _Shared(plan, past, layouts, horizon, plan.seconds + EXPIRY_MARGIN, plans, key)
        expired = [_ExpiredRecords.of(self._shared, each) for each in layouts]
        self._by_entity = [(each, codes) for each in expired for codes in each.slices()]
        self._by_id = _id_slices(past, horizon, layouts)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._by_entity) + len(self._by_id)

    def __getitem__(self, number: int) -> "Step":
        """One of them, from 0; it is computed now."""
        if number < len(self._by_entity):
            return EntityStep(*self._by_entity[number], self._shared.expire)
        return IdStep(self._shared, self._by_id[number - len(self._by_entity)])


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """What all steps share.

    Attributes:
        horizon: the time from which on transactions enter by their ids; those of a step are known for as long as the
            newest of them is younger.
        expire: seconds after which states expire that nobody reads or writes.
        key: what the digests are keyed with when they are sent.
    """

    plan: Plan
    past: PastTransactions
    layouts: Sequence[LayoutTransactions]
    horizon: float
    expire: int
    plans: PlanLayouts
    key: HistoryKey

    def block_id(self, rows: Rows) -> bytes:
        """The name of the block: the same whenever the step is done again, and of these transactions alone."""
        text = self.plan.digest + self.key.keyed_all(self.past.ids[rows]).tobytes()
        return hashlib.blake2b(text, digest_size=BLOCK_ID_BYTES, person=b"block").digest()

    def block(self, rows: Rows) -> bytes:
        """What Redis keeps of transactions: without values, and without an answer."""
        states = [self._states(self.layouts[position], rows) for position in fraud_layouts(self.plan)]
        return encode_block(self.plan, self.past.seconds[rows], states, has_values=False)

    def labels(self, rows: Rows) -> NDArray[np.void]:
        """The label of each transaction."""
        labels = np.empty(len(rows), LABEL)
        labels["label"] = self.past.labels[rows]
        labels["confirmed"] = np.where(labels["label"] == UNLABELLED, 0.0, self.past.confirmed[rows])
        return labels

    def _states(self, each: LayoutTransactions, rows: Rows) -> tuple[Rows, NDArray[np.void]]:
        """The number of each transaction's state, -1 where it has none, and the keys of these states alone."""
        used, numbers = np.unique(each.codes[rows], return_inverse=True)
        return np.where(each.usable[rows], numbers, -1), each.keys[used]


@dataclass(frozen=True, slots=True, eq=False)
class _ExpiredRecords:
    """What the transactions from before the horizon add to the states of one layout.

    Attributes:
        offsets: where the records of each entity begin, and the end of all; shape (entities + 1,).
        horizon: the first bucket that may hold other transactions.
    """

    layout: RecordLayout
    keys: NDArray[np.void]
    records: Records
    offsets: Rows
    horizon: int

    @classmethod
    def of(cls, shared: _Shared, each: LayoutTransactions) -> "_ExpiredRecords":
        """Of those that a window of this layout can still see."""
        past, bucket = shared.past, each.layout.bucket
        oldest = past.newest - (shared.plan.oldest[each.layout] + 1) * bucket
        effective = effective_seconds(past.seconds, past.labels, past.confirmed)
        rows = np.flatnonzero((past.seconds < shared.horizon) & (effective >= oldest))
        keys, records = each.merged(rows)
        offsets = np.searchsorted(keys >> CODE_BITS, np.arange(len(each.keys) + 1))
        return cls(each.layout, each.keys, records, offsets, int(np.floor(shared.horizon / bucket)))

    def slices(self) -> Iterator[range]:
        """The entities of each step, by their codes: all of them, for to read a state keeps it from expiring."""
        begin = 0
        while begin < len(self.keys):
            full = int(np.searchsorted(self.offsets, self.offsets[begin] + ENTITY_STEP_RECORDS, side="right")) - 1
            end = max(begin + 1, min(full, begin + ENTITY_STEP_STATES, len(self.keys)))
            yield range(begin, end)
            begin = end


class EntityStep:
    """The expired transactions of some entities."""

    unresolved = 0

    def __init__(self, expired: _ExpiredRecords, codes: range, expire: int) -> None:
        """Takes the seconds after which states expire that nobody reads or writes."""
        self._layout = expired.layout
        self._horizon = expired.horizon
        self._expire = expire
        offsets = expired.offsets[codes.start : codes.stop + 1]
        self._keys = expired.keys[codes.start : codes.stop]
        self._records = expired.records[offsets[0] : offsets[-1]]
        self._counts = np.diff(offsets)
        self._is_free = np.ones(len(codes), dtype=np.bool_)

    @property
    def known(self) -> int:
        """The transactions of states that held some already."""
        return int(self._records[np.repeat(~self._is_free, self._counts)]["count"].sum())

    def read_arguments(self) -> Arguments:
        """Reads the states, which keeps them from expiring too."""
        return ("look", "", "", 0, self._keys.tobytes(), "", "", "", self._expire, "", "")

    def receive_states(self, reply: Reply) -> None:
        """A state that holds records from before the horizon has these transactions in it."""
        states, _ = decode_records(self._layout, np.frombuffer(reply[4], "<u4").astype(np.int64), reply[5])
        expired = (states.records["count"] > 0) & (states.records["bucket"] < self._horizon)
        self._is_free[:] = True
        self._is_free[states.codes[expired]] = False

    def write_arguments(self) -> Arguments:
        """Adds to the other states."""
        written = self._is_free & (self._counts > 0)
        records = self._records[np.repeat(self._is_free, self._counts)]
        codes = np.flatnonzero(written).repeat(self._counts[written])
        sizes, data = _encoded(self._layout, codes, records)[1:]
        return ("enter", "", "", 0, "", self._keys[written].tobytes(), sizes, data, self._expire, "", "")

    def receive_reply(self, reply: Reply) -> bool:
        """Always done."""
        del reply
        return True


@dataclass(frozen=True, slots=True, eq=False)
class _IdClaims:
    """Digests that claim a transaction: its id for all layouts, or id and layout for one of them. None is keyed.

    Attributes:
        at: which transaction, by its position in the step; shape (claims,) like the others.
        layout: the position of the layout, or ALL_LAYOUTS.
    """

    at: Rows
    layout: NDArray[np.int64]
    digests: NDArray[np.void]

    def replaced(self, places: Rows, others: Sequence[tuple[int, int, bytes]]) -> "_IdClaims":
        """Without those at these places, and with others."""
        remaining = np.ones(len(self.at), dtype=np.bool_)
        remaining[places] = False
        added = b"".join(digest for _, _, digest in others)
        return _IdClaims(
            np.append(self.at[remaining], np.array([at for at, _, _ in others], dtype=np.int64)),
            np.append(self.layout[remaining], np.array([layout for _, layout, _ in others], dtype=np.int64)),
            np.concatenate([self.digests[remaining], np.frombuffer(added, self.digests.dtype)]),
        )


class IdStep:
    """Some transactions that enter by their ids: known afterwards, and found by their labels."""

    def __init__(self, shared: _Shared, rows: Rows) -> None:
        """Takes their positions."""
        self._shared = shared
        self._rows = rows
        self._block_id, self._block = shared.block_id(rows), shared.block(rows)
        self._labels = shared.labels(rows)
        self._counts = np.ones((len(shared.layouts), len(rows)), dtype=np.bool_)
        with_id = np.flatnonzero(shared.past.has_id[rows])
        self._claims = _IdClaims(with_id, np.full(len(with_id), ALL_LAYOUTS), shared.past.ids[rows[with_id]])
        self._arguments = self._computed_arguments()
        self.known, self.unresolved = 0, 0

    def read_arguments(self) -> Arguments | None:
        """None: the script itself finds who is known."""
        return None

    def receive_states(self, reply: Reply) -> None:
        """Never called."""

    def write_arguments(self) -> Arguments:
        """Those that count, and where."""
        return self._arguments

    def receive_reply(self, reply: Reply) -> bool:
        """Where some are known already, none entered: they count only where they do not yet."""
        places = np.frombuffer(reply[0], "<u4").astype(np.int64)
        if not len(places):
            return True
        plans = np.frombuffer(reply[1], f"V{DIGEST_BYTES}")
        others = [
            claim
            for place, plan in zip(places.tolist(), plans, strict=True)
            for claim in self._other_claims(place, plan)
        ]
        self._claims = self._claims.replaced(places, others)
        self._arguments = self._computed_arguments()
        return False

    def _other_claims(self, place: int, plan: np.void) -> list[tuple[int, int, bytes]]:
        """The claims that take the place of one that exists already."""
        at, layout = int(self._claims.at[place]), int(self._claims.layout[place])
        if layout != ALL_LAYOUTS:
            self._counts[layout, at] = False
            return []
        digests = [each.layout.digest for each in self._shared.layouts]
        entered = self._shared.plans.get(plan.tobytes())
        self.known += 1
        self.unresolved += entered is None
        layouts = [each for each, digest in enumerate(digests) if entered is not None and digest not in entered]
        self._counts[:, at] = False
        self._counts[layouts, at] = True
        return [(at, each, self._layout_digest(place, each)) for each in layouts]

    def _layout_digest(self, place: int, layout: int) -> bytes:
        text = self._claims.digests[place].tobytes() + self._shared.layouts[layout].layout.digest
        return hashlib.blake2b(text, digest_size=ID_BYTES, person=b"layout").digest()

    def _computed_arguments(self) -> Arguments:
        shared = self._shared
        written = [self._appended(each, counts) for each, counts in zip(shared.layouts, self._counts, strict=True)]
        keep = math.ceil(float(shared.past.seconds[self._rows].max()) - shared.horizon) + 1
        ids = shared.key.keyed_all(self._claims.digests)
        keys, sizes, data = (b"".join(parts) for parts in zip(*written, strict=True))
        wheres = np.empty(len(ids), [("where", WHERE), ("label", LABEL)])
        wheres["where"], wheres["label"] = noted(self._block_id, self._claims.at), self._labels[self._claims.at]
        block = (self._block_id, self._block)
        return ("enter", ids.tobytes(), wheres.tobytes(), keep, "", keys, sizes, data, shared.expire, *block)

    def _appended(self, each: LayoutTransactions, counts: NDArray[np.bool_]) -> tuple[bytes, bytes, bytes]:
        """What is appended to the states of one layout: their keys, how many bytes each, and the bytes."""
        keys, records = each.merged(self._rows[counts])
        codes, sizes, data = _encoded(each.layout, keys >> CODE_BITS, records)
        return each.keys[codes].tobytes(), sizes, data


Step = EntityStep | IdStep
"""Transactions that enter by one call of ENTER.

Where its `read_arguments` are not None, they are those of a call before it, whose reply `receive_states` takes. Then
`write_arguments` are those of the call, without those of progress. `receive_reply` takes its reply; it is False where
nothing was written and `write_arguments` has others now. Once it was True, `known` are the transactions that had been
counted already, in some state at least, and `unresolved` those of them whose plan nobody knows.
"""


def _encoded(layout: RecordLayout, codes: Rows, records: Records) -> tuple[Rows, bytes, bytes]:
    """What is appended to states: their entities' codes, how many bytes each, and the bytes."""
    codes, states = encode_records(layout, codes, records)
    return codes, np.fromiter(map(len, states), "<u4", len(states)).tobytes(), b"".join(states)


def _id_slices(past: PastTransactions, horizon: float, layouts: Sequence[LayoutTransactions]) -> list[Rows]:
    """The transactions of each step that enters by ids, in order of time by slices.

    In each slice those of an entity stand together, of the layout with the fewest: that halves the writes.
    """
    size = max(1, min(ID_STEP_ROWS, MAX_CLAIMS // len(layouts)))  # A known one may be claimed for each layout.
    rows = np.flatnonzero(past.seconds >= horizon)
    length = max((past.newest - horizon) / TIME_SLICES, 1.0)
    slices = ((past.seconds[rows] - horizon) // length).astype(np.int64)
    codes = min(layouts, key=lambda each: len(each.keys)).codes[rows]
    ordered = rows[np.lexsort((codes, slices))]
    ends = np.flatnonzero(np.diff(np.sort(slices))) + 1
    return [piece[at : at + size] for piece in np.split(ordered, ends) for at in range(0, len(piece), size)]
