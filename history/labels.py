"""What a label changes in what is remembered of its transaction, and what is kept of it for the next training. No I/O.

    labelling = Labelling(plan, digests, frauds, confirmed, now)
    while keys := labelling.keys():
        labelling.take_records(MGET keys)
        labelling.take_kept(what each of labelling.kept_reads() replies)
        if arguments := labelling.changes():
            labelling.take_moved(what the script LABELLED replies)

A label is fraud or genuine, and since when that is known. A fraud is one record at the bucket where it counts
(`Layout.fraud_seconds`), in each state that its transaction names; another label takes it back with a record of -1.
The script changes a transaction only where its label is still the one that was looked at, so that of two gateways
with the same label one changes it and the other finds it there.

    fraud:labels:<yyyymm>   by transaction: its label, kept for training; the month is the transaction's own
    fraud:labelled          how many transactions with an answer and a label there are, by version, answer and label
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from history.evaluation import bucket_of
from history.layout import DIGEST_BYTES, MAX_BUCKET, Layout
from history.plan import Plan
from history.redis_schema import (
    FORMAT,
    FRAUD,
    GENUINE,
    HEAD,
    LABEL,
    STATE_KEY_BYTES,
    TRANSACTION,
    UNLABELLED,
    Argument,
)
from history.session import EXPIRY_MARGIN

BLOCK_LABELS = 500
"""Labels that are looked at and changed together: about 5 ms of Redis' time."""
KEPT_SECONDS = 400 * 86_400
"""How long labels are kept after the last one of their month came in."""
MONTHS, COUNTS = b"fraud:labels:", b"fraud:labelled"
NO_MONTH = b"000000"
"""Of a transaction without a time, or with one that is not of this world."""
KEPT = np.dtype([("label", "u1"), ("confirmed", "<f8"), ("seconds", "<f8"), ("states", "<u8")])
"""A kept label: what it says, the time of its transaction, and in which of the states that this names it counts, as
bits: a state of a layout that was in no plan when the label came has nothing to be taken back. Behind it stands the
ANSWER that it is held against; nothing where none was noted yet."""
NAMES = {GENUINE: "genuine", FRAUD: "fraud"}

Rows = NDArray[np.int64]

LABELLED = """
-- ARGV: ids; the labels that they have; those that they get; months; what is kept; seconds that it is kept; how many
-- states each changes; their keys; how many bytes to each; the bytes; seconds until states expire.
-- Returns the places of transactions that have another label by now, or are forgotten: nothing of these has changed.
-- What was answered to a transaction stands in its block; behind what is kept of its label stands what was counted.
local ids, before, after, months, kept, keep, states, keys, lengths, bytes, expire = unpack(ARGV)
local names, moved, counts, touched = {'genuine', 'fraud'}, {}, {}, {}
local state, place = 0, 1
local function count(answer, label, change)
  if #answer < 5 or string.byte(answer) > 1 then return end
  local flagged, version = struct.unpack('<BI4', answer)
  local field = version .. (flagged == 1 and ':flagged:' or ':passed:') .. names[label]
  counts[field] = (counts[field] or 0) + change
end
for i = 1, #ids / 16 do
  local id = string.sub(ids, i * 16 - 15, i * 16)
  local head = redis.call('GETRANGE', 'fraud:t:' .. id, 0, 41)
  local label = string.sub(after, i * 9 - 8, i * 9)
  local same = string.sub(head, 2, 10) == string.sub(before, i * 9 - 8, i * 9)
  if same then
    redis.call('SETRANGE', 'fraud:t:' .. id, 1, label)
    local month = 'fraud:labels:' .. string.sub(months, i * 6 - 5, i * 6)
    local old, at = string.byte(head, 2), struct.unpack('<I4', head, 39) * 5
    if old > 0 then count(string.sub(redis.call('HGET', month, id) or '', 26), old, -1) end
    local answer = redis.call('GETRANGE', 'fraud:a:' .. string.sub(head, 27, 38), at, at + 4)
    count(answer, string.byte(label), 1)
    redis.call('HSET', month, id, string.sub(kept, i * 25 - 24, i * 25) .. answer)
    touched[month] = true
  else
    moved[#moved + 1] = struct.pack('<I4', i - 1)
  end
  for _ = 1, string.byte(states, i) do
    local length = struct.unpack('<I4', lengths, state * 4 + 1)
    if same then
      local key = 'fraud:h:' .. string.sub(keys, state * 24 + 1, state * 24 + 24)
      redis.call('APPEND', key, string.sub(bytes, place, place + length - 1))
      redis.call('EXPIRE', key, expire)
    end
    state, place = state + 1, place + length
  end
end
for month in pairs(touched) do redis.call('EXPIRE', month, keep) end
for field, change in pairs(counts) do
  if change ~= 0 then redis.call('HINCRBY', 'fraud:labelled', field, change) end
end
return table.concat(moved)
"""
"""One step for each transaction: its label, its frauds, what is kept, and what is counted."""


class LabelUpdate:
    """Labels of a block of distinct transactions.

    Attributes:
        unknown: which transactions are not known; bool, shape (labels,), like all of the next.
        changed: whose label is another one now.
    """

    def __init__(
        self,
        plan: Plan,
        digests: NDArray[np.void],
        frauds: NDArray[np.bool_],
        confirmed: NDArray[np.float64],
        now: float,
    ) -> None:
        """Takes the digests of the ids, and what is said of each.

        A confirmation that is NaN says not when: a label that is there already keeps its own, another one has `now`,
        in seconds as the transactions' time.
        """
        self._plan = plan
        self._digests = digests
        self._labels = np.where(frauds, FRAUD, GENUINE).astype(np.uint8)
        self._silent = np.isnan(confirmed)
        self._confirmed = np.where(self._silent, now, confirmed)
        self.unknown = np.zeros(len(digests), dtype=np.bool_)
        self.changed = np.zeros(len(digests), dtype=np.bool_)
        self._rows: Rows = np.arange(len(digests))
        self._heads = np.empty(0, HEAD)
        self._places = b""
        self._counted = np.empty(0, dtype=np.uint64)

    def keys(self) -> list[bytes]:
        """The records to read now; none when all is done."""
        return [TRANSACTION + self._digests[row].tobytes() for row in self._rows.tolist()]

    def take_records(self, records: Sequence[bytes | None]) -> None:
        """Takes them; what has its label already is done."""
        found = [record if record and _whole(record) else None for record in records]
        known = np.array([record is not None for record in found], dtype=np.bool_)
        heads = np.frombuffer(b"".join(record[: HEAD.itemsize] for record in found if record), HEAD)
        self.unknown[self._rows[~known]] = True
        rows = self._rows[known]
        new = (heads["label"] != self._labels[rows]) | (
            ~self._silent[rows] & (heads["confirmed"] != self._confirmed[rows])
        )
        whole = [record for record in found if record]
        self._rows, self._heads = rows[new], heads[new]
        self._places = b"".join(whole[place][HEAD.itemsize :] for place in np.flatnonzero(new).tolist())

    def kept_reads(self) -> list[tuple[bytes, bytes]]:
        """Hash and field of what is kept of those that were frauds until now."""
        were = np.flatnonzero(self._heads["label"] == FRAUD).tolist()
        months = month_keys(self._heads["seconds"])
        return [(months[place], self._digests[self._rows[place]].tobytes()) for place in were]

    def take_kept(self, values: Sequence[bytes | None]) -> None:
        """Takes it; a fraud of which nothing is kept was loaded from past data, and counts in all states."""
        self._counted = np.zeros(len(self._rows), dtype=np.uint64)
        everywhere = np.frombuffer(b"\xff" * 8, np.uint64)[0]
        self._counted[self._heads["label"] == FRAUD] = [
            np.frombuffer(value, KEPT, 1)["states"][0] if value and len(value) >= KEPT.itemsize else everywhere
            for value in values
        ]

    def changes(self) -> tuple[Argument, ...]:
        """The arguments of the script LABELLED; none where there is nothing to change."""
        if not len(self._rows):
            return ()
        before, after = (np.empty(len(self._rows), LABEL) for _ in range(2))
        before["label"], before["confirmed"] = self._heads["label"], self._heads["confirmed"]
        after["label"], after["confirmed"] = self._labels[self._rows], self._confirmed[self._rows]
        additions = self._additions(before, after)
        months = [key.removeprefix(MONTHS) for key in month_keys(self._heads["seconds"])]
        return (
            self._digests[self._rows].tobytes(), before.tobytes(), after.tobytes(), b"".join(months),
            additions.kept.tobytes(), KEPT_SECONDS, additions.states.tobytes(), additions.keys,
            struct.pack(f"<{len(additions.data)}I", *map(len, additions.data)), b"".join(additions.data),
            self._plan.seconds + EXPIRY_MARGIN,
        )  # fmt: skip

    def take_moved(self, places: bytes) -> None:
        """Takes the script's reply: what another one has changed meanwhile is looked at again."""
        moved = np.frombuffer(places, "<u4")
        done = np.ones(len(self._rows), dtype=np.bool_)
        done[moved] = False
        self.changed[self._rows[done]] = True
        self._rows = self._rows[moved]

    def _additions(self, before: NDArray[np.void], after: NDArray[np.void]) -> "_Additions":
        """What the labels append to states of the plan, and where they count from now on."""
        owners = np.repeat(np.arange(len(self._rows)), self._heads["places"])
        firsts = np.cumsum(self._heads["places"], dtype=np.int64) - self._heads["places"]
        bits = np.uint64(1) << (np.arange(len(owners)) - firsts[owners]).astype(np.uint64)
        keys = np.frombuffer(self._places, [("layout", f"V{DIGEST_BYTES}"), ("entity", "V16")])
        kept, pieces = self._kept(after), list[tuple[int, int, bytes]]()
        for layout in (each for each in self._plan.layouts if each.delay is not None):
            here = np.flatnonzero(keys["layout"] == np.void(layout.digest))
            mine, seconds = owners[here], self._heads["seconds"][owners[here]]
            was = (self._counted[mine] & bits[here]) != 0
            old = _buckets(layout, seconds, before[mine], counts=was)
            new = _buckets(layout, seconds, after[mine], counts=np.ones(len(here), dtype=np.bool_))
            np.bitwise_or.at(kept["states"], mine, np.where(after["label"][mine] == FRAUD, bits[here], np.uint64(0)))
            pieces += zip(mine.tolist(), here.tolist(), _moves(layout, old, new), strict=True)
        return _additions(kept, keys, sorted(piece for piece in pieces if piece[2]))

    def _kept(self, after: NDArray[np.void]) -> NDArray[np.void]:
        kept = np.zeros(len(after), KEPT)
        kept["label"], kept["confirmed"], kept["seconds"] = after["label"], after["confirmed"], self._heads["seconds"]
        return kept


def _whole(record: bytes) -> bool:
    """Whether it is a transaction's record, of this format and not cut short."""
    if len(record) < HEAD.itemsize or record[0] != FORMAT:
        return False
    places = int(np.frombuffer(record, HEAD, 1)["places"][0])
    return len(record) == HEAD.itemsize + STATE_KEY_BYTES * places


@dataclass(frozen=True, slots=True, eq=False)
class _Additions:
    """What is kept of each label, how many states it changes, their keys, and what is appended to each."""

    kept: NDArray[np.void]
    states: NDArray[np.uint8]
    keys: bytes
    data: list[bytes]


def _additions(kept: NDArray[np.void], keys: NDArray[np.void], pieces: Sequence[tuple[int, int, bytes]]) -> _Additions:
    states = np.bincount([owner for owner, _, _ in pieces], minlength=len(kept)).astype(np.uint8)
    where = keys[[place for _, place, _ in pieces]].tobytes()
    return _Additions(kept, states, where, [data for _, _, data in pieces])


def _buckets(
    layout: Layout, seconds: NDArray[np.float64], labels: NDArray[np.void], *, counts: NDArray[np.bool_]
) -> Rows:
    """The bucket of a state in which each label counts as a fraud; FURTHEST where it counts in none."""
    confirmed = np.where(np.isnan(labels["confirmed"]), -np.inf, labels["confirmed"])
    buckets = bucket_of(layout.fraud_seconds(seconds, confirmed), layout.bucket)
    return np.where((labels["label"] == FRAUD) & counts, buckets, MAX_BUCKET)


def _moves(layout: Layout, old: Rows, new: Rows) -> list[bytes]:
    """The records that take a fraud from one bucket to another, either of which may be none."""
    taken, given = layout.frauds(old, -1), layout.frauds(new, 1)
    size, both = layout.dtype.itemsize, zip(old.tolist(), new.tolist(), strict=True)
    minus, plus = taken.tobytes(), given.tobytes()
    return [
        (minus[place * size : (place + 1) * size] if there < MAX_BUCKET and there != here else b"")
        + (plus[place * size : (place + 1) * size] if here < MAX_BUCKET and there != here else b"")
        for place, (there, here) in enumerate(both)
    ]


def month_keys(seconds: NDArray[np.float64]) -> list[bytes]:
    """Where the labels of transactions of these times are kept; a time in other seconds than since 1970 too has one."""
    usable = np.abs(seconds) < MAX_BUCKET * 60.0
    texts = np.where(usable, seconds, 0).astype("datetime64[s]").astype("datetime64[M]").astype(str)
    months = [text.replace("-", "").encode() for text in texts.tolist()]
    good = [here and len(month) == len(NO_MONTH) for here, month in zip(usable.tolist(), months, strict=True)]
    return [MONTHS + (month if here else NO_MONTH) for here, month in zip(good, months, strict=True)]


def kept_places(digests: NDArray[np.void], seconds: NDArray[np.float64]) -> dict[bytes, tuple[Rows, list[bytes]]]:
    """What to read for the labels of transactions: for each hash which rows are in it, and their fields."""
    months = np.array(month_keys(seconds))
    found = {}
    for month in dict.fromkeys(months.tolist()):
        rows = np.flatnonzero(months == month)
        found[month] = rows, [digests[row].tobytes() for row in rows.tolist()]
    return found


def kept_labels(values: Sequence[bytes | None]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """What was read: UNLABELLED, GENUINE or FRAUD, and when that was confirmed; NaN where that is not known."""
    blank = np.zeros(1, KEPT)
    blank["label"], blank["confirmed"] = UNLABELLED, np.nan
    kept = np.frombuffer(b"".join((value or blank.tobytes())[: KEPT.itemsize] for value in values), KEPT)
    return kept["label"], kept["confirmed"]


@dataclass(frozen=True, slots=True)
class ConfusionCounts:
    """How many transactions of one version have a label, by what was answered."""

    flagged_fraud: int = 0
    flagged_genuine: int = 0
    passed_fraud: int = 0
    passed_genuine: int = 0

    @property
    def precision(self) -> float | None:
        """Share of frauds among those that were flagged; None where none was."""
        flagged = self.flagged_fraud + self.flagged_genuine
        return self.flagged_fraud / flagged if flagged else None

    @property
    def recall(self) -> float | None:
        """Share of flagged ones among the frauds; None where there is none."""
        frauds = self.flagged_fraud + self.passed_fraud
        return self.flagged_fraud / frauds if frauds else None


def confusion_by_version(fields: Mapping[bytes, bytes]) -> dict[int, ConfusionCounts]:
    """The counts in COUNTS by version, ascending.

    Raises:
        ValueError, TypeError: they are no such counts.
    """
    counts: dict[int, dict[str, int]] = {}
    for field, count in fields.items():
        version, answer, label = field.decode().split(":")
        counts.setdefault(int(version), {})[f"{answer}_{label}"] = int(count)
    return {version: ConfusionCounts(**found) for version, found in sorted(counts.items())}
