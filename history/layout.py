"""The state of an entity: records, one for each bucket of time in which something happened.

A record says how many transactions there were, the sum of an amount, and so on. Records of one bucket may be merged or
stand apart: they mean the same.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.table import DictionaryEncoded

Records = NDArray[np.void]
"""A structured array of `RecordLayout.dtype`."""

Columns = Mapping[str, NDArray[Any]]

Rows = NDArray[np.int64]
"""Positions in a table."""

MAX_BUCKET = 2**30
"""Times whose bucket is further than this from that of time 0 belong to no history."""

CODE_BITS = 32
"""A sort key is the entity's code, and below it as many bits for the bucket."""
PLAIN_SORT = 1_024
"""Sort keys up to which they are sorted as they are."""

SLOTS = 64
"""Of a set: each value takes the slot of its hash, and the number of slots taken estimates the number of values."""

DIGEST_BYTES = 8

ENTITY_BYTES = 16


@dataclass(frozen=True)
class RecordLayout:
    """What a record holds, for all windows of the same entity and bucket size.

    Attributes:
        bucket: its size in seconds.
        sums: columns whose sum is kept; `squares` and `largest` are those of them with more.
        sets: columns whose distinct values are kept.
        last: whether the time of the last transaction is kept.
        delay: of labels, in seconds; None where frauds are not kept.
        clock: the column beside `time` that holds the time of the day; empty where `time` holds both.
    """

    entity: str
    time: str
    bucket: int
    sums: tuple[str, ...] = ()
    squares: tuple[str, ...] = ()
    largest: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    last: bool = False
    delay: int | None = None
    clock: str = ""

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """One record."""
        fields: list[tuple[str, str]] = [("bucket", "<i4"), ("count", "<i4")]
        fields += [("frauds", "<i4")] if self.delay is not None else []
        fields += [("last", "<f8")] if self.last else []
        for column in self.sums:
            fields += [(f"known:{column}", "<i4"), (f"sum:{column}", "<f8")]
        fields += [(f"squares:{column}", "<f8") for column in self.squares]
        fields += [(f"largest:{column}", "<f8") for column in self.largest]
        fields += [(f"set:{column}", "<u8") for column in self.sets]
        return np.dtype(fields)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a record without its bucket."""
        return tuple(name for name in self.dtype.names or () if name != "bucket")

    @property
    def adding(self) -> tuple[str, ...]:
        """The fields that add up when records are merged."""
        return tuple(name for name in self.fields if self._operation(name) is np.add)

    @cached_property
    def digest(self) -> bytes:
        """Names the layout in Redis: states of equal digests hold the same, whichever version they were written for."""
        fields = {name: value for name, value in asdict(self).items() if name != "clock" or value}
        text = json.dumps(fields, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()

    @property
    def names(self) -> frozenset[str]:
        """The columns that a table must have."""
        return frozenset({self.entity, self.time, *self.sums, *self.sets})

    def identity_records(self, size: int) -> Records:
        """Records that change nothing when they are merged with others; shape (size,)."""
        records = np.zeros(size, dtype=self.dtype)
        for name in self._extreme:
            records[name] = -np.inf
        return records

    def records(self, columns: Columns, buckets: NDArray[np.int64], seconds: NDArray[np.float64]) -> Records:
        """One record for each transaction; shape (rows,)."""
        records = self.identity_records(len(buckets))
        records["bucket"], records["count"] = buckets, 1
        if self.last:
            records["last"] = seconds
        for column in self.sums:
            self._count_numbers(records, column, columns[column])
        for column in self.sets:
            records[f"set:{column}"] = slots(columns[column])
        return records

    def frauds(self, buckets: NDArray[np.int64], change: int = 1) -> Records:
        """One record for each confirmed fraud; a change of -1 takes it back."""
        records = self.identity_records(len(buckets))
        records["bucket"], records["frauds"] = buckets, change
        return records

    def fraud_seconds(self, seconds: NDArray[np.float64], confirmed: NDArray[np.float64]) -> NDArray[np.float64]:
        """The time at which each fraud counts, given its transaction's and its confirmation's."""
        return np.maximum(seconds, confirmed - float(self.delay or 0))

    def merged(self, keys: NDArray[np.int64], records: Records) -> tuple[NDArray[np.int64], Records]:
        """The distinct keys, ascending, and one record for each."""
        order = sorted_order(keys)
        keys, records = keys[order], taken(records, order)
        begins = group_begins(keys)
        result = taken(records, begins)
        sizes = np.diff(begins, append=len(keys))
        several = sizes > 1  # Hardly any: the others are what they are.
        if several.any():
            members = taken(records, np.flatnonzero(several.repeat(sizes)))
            firsts = np.cumsum(sizes[several]) - sizes[several]
            for name in self.fields:
                result[name][several] = self._operation(name).reduceat(members[name], firsts)
        return keys[begins], result

    @property
    def _extreme(self) -> tuple[str, ...]:
        return (*(("last",) if self.last else ()), *(f"largest:{column}" for column in self.largest))

    def _operation(self, name: str) -> np.ufunc:
        if name in self._extreme:
            return np.maximum
        return np.bitwise_or if name.startswith("set:") else np.add

    def _count_numbers(self, records: Records, column: str, values: NDArray[np.float64]) -> None:
        known = ~np.isnan(values)
        numbers = np.where(known, values, 0.0)
        records[f"known:{column}"], records[f"sum:{column}"] = known, numbers
        if column in self.squares:
            records[f"squares:{column}"] = numbers * numbers
        if column in self.largest:
            records[f"largest:{column}"] = np.where(known, values, -np.inf)


def taken(records: Records, places: NDArray[np.int64]) -> Records:
    """The records at these places: as bytes without fields, a tenth of the time."""
    return records.view(f"V{records.dtype.itemsize}").take(places).view(records.dtype)


def sort_keys(codes: NDArray[np.int64], buckets: NDArray[Any]) -> NDArray[np.int64]:
    """Sort keys: by entity, then by bucket."""
    return (codes << CODE_BITS) + (buckets.astype(np.int64) + 2 * MAX_BUCKET)


def sorted_order(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The order of sort keys; equal ones stay in theirs."""
    if len(keys) > PLAIN_SORT:
        # With its place in it each key is different: to sort such numbers takes a fifth of the time.
        buckets, bits = keys & ((1 << CODE_BITS) - 1), len(keys).bit_length()
        low, codes = int(buckets.min()), keys >> CODE_BITS
        codes -= codes.min()
        width = int(buckets.max()) - low + 1
        if (int(codes.max()) + 1) * width < 1 << (63 - bits):
            numbered = ((codes * width + (buckets - low)) << bits) + np.arange(len(keys))
            numbered.sort()
            return numbered & ((1 << bits) - 1)
    return keys.argsort(kind="stable")


def factorize(texts: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Each text's number, in order of first appearance, and the distinct texts by number."""
    distinct = list(dict.fromkeys(texts))
    numbers = {text: number for number, text in enumerate(distinct)}
    return np.fromiter(map(numbers.__getitem__, texts), np.int64, len(texts)), distinct


def slots(texts: NDArray[Any] | DictionaryEncoded) -> NDArray[np.uint64]:
    """The slot of each text as a bit of 64; none for a missing one."""
    codes: NDArray[Any]
    if isinstance(texts, DictionaryEncoded):
        codes, distinct = texts.indices, texts.values.tolist()
    else:
        codes, distinct = factorize(texts.tolist())
    bits = np.array([_slot(text) for text in distinct], dtype=np.uint64)
    return bits[codes] if len(bits) else np.empty(0, dtype=np.uint64)


def _slot(text: str) -> int:
    if not text:
        return 0
    return 1 << (hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=1).digest()[0] % SLOTS)


def group_begins(ordered: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each run of equal values begins."""
    if not len(ordered):
        return np.empty(0, dtype=np.int64)
    return np.concatenate(([0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1))
