"""What a label changes in Redis: its transaction's record, the states, and the labels for training. No I/O.

`LabelUpdate` says what to read and send, and takes the replies::

    update = LabelUpdate(plan, digests, frauds, confirmed, now)
    while arguments := update.find_arguments():
        update.receive_transactions(the reply of the script FIND_TRANSACTIONS)
        update.receive_stored_labels(the reply to HGET of each of update.stored_label_reads())
        if arguments := update.arguments():
            update.receive_conflicts(the reply of the script UPDATE_LABELS)

Rules:

1. A label is fraud or genuine, and since when that is known. The last one that comes in counts.
2. A fraud counts once in each state that its transaction's record names: one record at the bucket where it counts
   (`RecordLayout.fraud_seconds`). Another label takes it back by a record of -1 at the same bucket.
3. A fraud is taken back only where it was counted: the stored label names these states, as bits. Of a fraud without a
   stored label, which was loaded from past data, these are all of them.
4. A label that changes nothing writes nothing, so that sending it again does no harm.
5. Label, states, stored label and counts of one transaction change in one step, and only where its label is still the
   one that was read. Else it is read again: of two gateways with the same label one changes it, the other finds it.
6. A label is counted against the answer that its transaction got. The stored label holds that answer, so that a later
   label takes back exactly what was counted.

    fraud:labels:<yyyymm>   by transaction: its label, kept for training; the month is the transaction's own
    fraud:labelled          how many transactions with an answer and a label there are, by version, answer and label
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.labels import FRAUD, GENUINE, UNLABELLED
from contract.windows import DAY
from history.evaluation import bucket_of
from history.known_ids import FINDING, FORMAT, LABEL, TRANSACTION_HEAD, record_of
from history.layout import MAX_BUCKET, RecordLayout, Rows
from history.plan import Plan
from history.redis_schema import ONE_VERSION, STATE_KEY, Arguments
from history.session import EXPIRY_MARGIN
from history.transaction_blocks import STATE_KEY_BYTES

LABELS_PER_UPDATE = 500
"""Labels that one call changes at most: about 5 ms of Redis' time."""
LABEL_SECONDS = 400 * 86_400
"""For which the labels of a month are kept after the last one of them came in."""
MONTHS, COUNTS = b"fraud:labels:", b"fraud:labelled"
UNKNOWN_MONTH = b"000000"
"""Of a transaction without a time, or with one beyond the range of `MAX_BUCKET`."""
STORED_LABEL = np.dtype([("label", "u1"), ("confirmed", "<f8"), ("seconds", "<f8"), ("states", "<u8")])
"""A label as it is stored for training: when it was confirmed, the time of its transaction, and in which of the states
that the transaction names it counts, as bits (rule 3: a layout that was in no plan then has nothing to take back). Then
follows the ANSWER that it was counted against (rule 6); nothing where none was stored yet."""
NAMES = {GENUINE: "genuine", FRAUD: "fraud"}


UPDATE_LABELS = (
    FINDING
    + """
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
local function answered(key, row)
  local head = redis.call('GETRANGE', key, 0, 4)
  if string.byte(head) ~= ONE_VERSION then return redis.call('GETRANGE', key, row * 5, row * 5 + 4) end
  local flag = redis.call('GETRANGE', key, 5 + row, 5 + row)
  return #flag == 1 and flag .. string.sub(head, 2) or ''
end
local list = split(ids)
local slots, noted, old = find(list)
for i, id in ipairs(list) do
  local head = old[i] or ''
  local present, block = string.sub(head, 2, 10), string.sub(head, 27, 42)
  if noted[i] then
    present, block = string.sub(noted[i], 17, 25), string.sub(noted[i], 1, 16)
    if present == '' then present = string.rep('\\0', 9) end
  end
  local label = string.sub(after, i * 9 - 8, i * 9)
  local same = present == string.sub(before, i * 9 - 8, i * 9)
  if same then
    if noted[i] then
      redis.call('HSET', 'fraud:k:' .. slots[i], id, block .. label)
    else
      redis.call('SETRANGE', 'fraud:t:' .. id, 1, label)
    end
    local month = 'fraud:labels:' .. string.sub(months, i * 6 - 5, i * 6)
    local was = string.byte(present)
    if was > 0 then count(string.sub(redis.call('HGET', month, id) or '', 26), was, -1) end
    local answer = answered('fraud:a:' .. string.sub(block, 1, 12), struct.unpack('<I4', block, 13))
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
""".replace("ONE_VERSION", str(ONE_VERSION))
)
"""Changes each transaction in one step (rule 5)."""


class LabelUpdate:
    """The labels of some distinct transactions; the rules are in the module's docstring.

    Attributes:
        unknown: which transactions are not known; bool, shape (labels,).
        changed: which transactions have another label now; bool, shape (labels,).
        early: which labels were left out, as confirmed before their transaction; bool, shape (labels,).
    """

    def __init__(
        self,
        plan: Plan,
        digests: NDArray[np.void],
        frauds: NDArray[np.bool_],
        confirmed: NDArray[np.float64],
        now: float,
    ) -> None:
        """Takes the digests of the ids, whether each is a fraud, and when that was confirmed; shape (labels,) each.

        Where the confirmation is NaN, a label that is there already keeps its own, and a new one gets `now`, in
        seconds as the transactions' time.
        """
        self._plan = plan
        self._digests = digests
        self._labels = np.where(frauds, FRAUD, GENUINE).astype(np.uint8)
        self._unconfirmed = np.isnan(confirmed)
        self._confirmed = np.where(self._unconfirmed, now, confirmed)
        self.unknown = np.zeros(len(digests), dtype=np.bool_)
        self.changed = np.zeros(len(digests), dtype=np.bool_)
        self.early = np.zeros(len(digests), dtype=np.bool_)
        self._rows: Rows = np.arange(len(digests))
        self._heads = np.empty(0, TRANSACTION_HEAD)
        self._places = b""
        self._counted = np.empty(0, dtype=np.uint64)

    def find_arguments(self) -> Arguments:
        """The arguments of the script FIND_TRANSACTIONS to call now; none when all is done."""
        return (self._digests[self._rows].tobytes(),) if len(self._rows) else ()

    def receive_transactions(self, reply: Sequence[bytes]) -> None:
        """Takes the reply; what has its label already is done (rule 4)."""
        records = [record_of(each) for each in reply]
        known = np.array([_is_complete(record) for record in records], dtype=np.bool_)
        complete = [record for record in records if _is_complete(record)]
        size = TRANSACTION_HEAD.itemsize
        heads = np.frombuffer(b"".join(record[:size] for record in complete), TRANSACTION_HEAD)
        self.unknown[self._rows[~known]] = True
        rows = self._rows[known]
        new = (heads["label"] != self._labels[rows]) | (
            ~self._unconfirmed[rows] & (heads["confirmed"] != self._confirmed[rows])
        )
        self._rows, self._heads = rows[new], heads[new]
        self._places = b"".join(complete[place][size:] for place in np.flatnonzero(new).tolist())

    def leave_out_early(self) -> None:
        """Leaves out what was confirmed before its transaction; a moment at midnight stands for its whole day."""
        confirmed = self._confirmed[self._rows]
        latest = confirmed + np.where(confirmed % DAY == 0, DAY - 1, 0)
        early = ~self._unconfirmed[self._rows] & (latest < self._heads["seconds"])
        self.early[self._rows[early]] = True
        owners = np.repeat(early, self._heads["places"])
        self._places = self._state_keys[~owners].tobytes()
        self._rows, self._heads = self._rows[~early], self._heads[~early]

    def stored_label_reads(self) -> list[tuple[bytes, bytes]]:
        """Hash and field of the stored label of each transaction that was a fraud until now."""
        frauds = np.flatnonzero(self._heads["label"] == FRAUD).tolist()
        months = month_keys(self._heads["seconds"])
        return [(months[place], self._digests[self._rows[place]].tobytes()) for place in frauds]

    def receive_stored_labels(self, values: Sequence[bytes | None]) -> None:
        """Takes the replies (rule 3)."""
        self._counted = np.zeros(len(self._rows), dtype=np.uint64)
        all_states, size = np.frombuffer(b"\xff" * 8, np.uint64)[0], STORED_LABEL.itemsize
        self._counted[self._heads["label"] == FRAUD] = [
            np.frombuffer(value, STORED_LABEL, 1)["states"][0] if value and len(value) >= size else all_states
            for value in values
        ]

    def arguments(self) -> Arguments:
        """The arguments of the script UPDATE_LABELS; none where there is nothing to change."""
        if not len(self._rows):
            return ()
        before, after = (np.empty(len(self._rows), LABEL) for _ in range(2))
        before["label"], before["confirmed"] = self._heads["label"], self._heads["confirmed"]
        after["label"], after["confirmed"] = self._labels[self._rows], self._confirmed[self._rows]
        labels, changes = self._state_changes(before, after)
        months = [key.removeprefix(MONTHS) for key in month_keys(self._heads["seconds"])]
        counts = np.bincount([row for row, _, _ in changes], minlength=len(self._rows)).astype(np.uint8)
        keys, data = self._state_keys[[place for _, place, _ in changes]], [data for _, _, data in changes]
        return (
            self._digests[self._rows].tobytes(), before.tobytes(), after.tobytes(), b"".join(months),
            labels.tobytes(), LABEL_SECONDS, counts.tobytes(), keys.tobytes(),
            struct.pack(f"<{len(data)}I", *map(len, data)), b"".join(data), self._plan.seconds + EXPIRY_MARGIN,
        )  # fmt: skip

    def receive_conflicts(self, places: bytes) -> None:
        """Takes the script's reply: what another gateway has changed meanwhile is read again (rule 5)."""
        conflicts = np.frombuffer(places, "<u4")
        done = np.ones(len(self._rows), dtype=np.bool_)
        done[conflicts] = False
        self.changed[self._rows[done]] = True
        self._rows = self._rows[conflicts]

    @property
    def _state_keys(self) -> NDArray[np.void]:
        """The keys of the states that the transactions name, one transaction's after the other's."""
        return np.frombuffer(self._places, STATE_KEY)

    def _state_changes(
        self, before: NDArray[np.void], after: NDArray[np.void]
    ) -> tuple[NDArray[np.void], list[tuple[int, int, bytes]]]:
        """The labels to store; and for each state that changes its transaction, its place and what is appended."""
        owners = np.repeat(np.arange(len(self._rows)), self._heads["places"])
        firsts = np.cumsum(self._heads["places"], dtype=np.int64) - self._heads["places"]
        bits = np.uint64(1) << (np.arange(len(owners)) - firsts[owners]).astype(np.uint64)
        keys = self._state_keys
        labels, changes = np.zeros(len(after), STORED_LABEL), list[tuple[int, int, bytes]]()
        labels["label"], labels["confirmed"] = after["label"], after["confirmed"]
        labels["seconds"] = self._heads["seconds"]
        for layout in (each for each in self._plan.layouts if each.delay is not None):
            selected = np.flatnonzero(keys["layout"] == np.void(layout.digest))
            rows, seconds = owners[selected], self._heads["seconds"][owners[selected]]
            was_counted = (self._counted[rows] & bits[selected]) != 0
            old = _buckets(layout, seconds, before[rows], counts=was_counted)
            new = _buckets(layout, seconds, after[rows], counts=np.ones(len(selected), dtype=np.bool_))
            is_fraud = after["label"][rows] == FRAUD
            np.bitwise_or.at(labels["states"], rows, np.where(is_fraud, bits[selected], np.uint64(0)))
            changes += zip(rows.tolist(), selected.tolist(), _moves(layout, old, new), strict=True)
        return labels, sorted(change for change in changes if change[2])


def _is_complete(record: bytes) -> bool:
    """Whether these bytes are a transaction's record, of this format and not cut short."""
    if len(record) < TRANSACTION_HEAD.itemsize or record[0] != FORMAT:
        return False
    places = int(np.frombuffer(record, TRANSACTION_HEAD, 1)["places"][0])
    return len(record) == int(TRANSACTION_HEAD.itemsize) + STATE_KEY_BYTES * places


def _buckets(
    layout: RecordLayout, seconds: NDArray[np.float64], labels: NDArray[np.void], *, counts: NDArray[np.bool_]
) -> Rows:
    """The bucket of a state in which each label counts as a fraud; MAX_BUCKET where it counts in none."""
    confirmed = np.where(np.isnan(labels["confirmed"]), -np.inf, labels["confirmed"])
    buckets = bucket_of(layout.fraud_seconds(seconds, confirmed), layout.bucket)
    return np.where((labels["label"] == FRAUD) & counts, buckets, MAX_BUCKET)


def _moves(layout: RecordLayout, old: Rows, new: Rows) -> list[bytes]:
    """The records that take a fraud from one bucket to another, either of which may be none."""
    size, buckets = layout.dtype.itemsize, zip(old.tolist(), new.tolist(), strict=True)
    minus, plus = layout.frauds(old, -1).tobytes(), layout.frauds(new, 1).tobytes()
    return [
        (minus[place * size : (place + 1) * size] if before < MAX_BUCKET and before != after else b"")
        + (plus[place * size : (place + 1) * size] if after < MAX_BUCKET and before != after else b"")
        for place, (before, after) in enumerate(buckets)
    ]


def month_keys(seconds: NDArray[np.float64]) -> list[bytes]:
    """The hash that holds the label of each transaction, by its time; times need not be since 1970."""
    usable = np.abs(seconds) < MAX_BUCKET * 60.0
    texts = np.where(usable, seconds, 0).astype("datetime64[s]").astype("datetime64[M]").astype(str)
    months = [text.replace("-", "").encode() for text in texts.tolist()]
    length = len(UNKNOWN_MONTH)
    return [
        MONTHS + (month if is_usable and len(month) == length else UNKNOWN_MONTH)
        for is_usable, month in zip(usable.tolist(), months, strict=True)
    ]


def label_fields(digests: NDArray[np.void], seconds: NDArray[np.float64]) -> dict[bytes, tuple[Rows, list[bytes]]]:
    """Where the labels of transactions are stored: by hash the rows that are in it, and their fields."""
    months = np.array(month_keys(seconds))
    fields = {}
    for month in dict.fromkeys(months.tolist()):
        rows = np.flatnonzero(months == month)
        fields[month] = rows, [digests[row].tobytes() for row in rows.tolist()]
    return fields


def parse_stored_labels(values: Sequence[bytes | None]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """UNLABELLED, GENUINE or FRAUD of each field that was read, and when that was confirmed; NaN where unlabelled."""
    blank = np.zeros(1, STORED_LABEL)
    blank["label"], blank["confirmed"] = UNLABELLED, np.nan
    texts = [(value or blank.tobytes())[: STORED_LABEL.itemsize] for value in values]
    labels = np.frombuffer(b"".join(texts), STORED_LABEL)
    return labels["label"], labels["confirmed"]


@dataclass(frozen=True, slots=True)
class ConfusionCounts:
    """The confusion matrix of one version: how many of its transactions have a label, by what was answered."""

    flagged_fraud: int = 0
    flagged_genuine: int = 0
    passed_fraud: int = 0
    passed_genuine: int = 0

    @property
    def precision(self) -> float | None:
        """Share of frauds among the flagged transactions; None where none was flagged."""
        flagged = self.flagged_fraud + self.flagged_genuine
        return self.flagged_fraud / flagged if flagged else None

    @property
    def recall(self) -> float | None:
        """Share of flagged transactions among the frauds; None where there is no fraud."""
        frauds = self.flagged_fraud + self.passed_fraud
        return self.flagged_fraud / frauds if frauds else None


def confusion_by_version(fields: Mapping[bytes, bytes]) -> dict[int, ConfusionCounts]:
    """The counts in COUNTS by version, ascending.

    Raises:
        ValueError, TypeError: the fields are no such counts.
    """
    counts: dict[int, dict[str, int]] = {}
    for field, count in fields.items():
        version, answer, label = field.decode().split(":")
        counts.setdefault(int(version), {})[f"{answer}_{label}"] = int(count)
    return {version: ConfusionCounts(**answers) for version, answers in sorted(counts.items())}
