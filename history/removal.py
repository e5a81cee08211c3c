"""Removes transactions from the records that they are counted in, so that a repeat does not see itself."""

import numpy as np

from history.evaluation import StoredRecords
from history.layout import RecordLayout


class RowRemoval:
    """The records of one layout, and what is left of them.

    Attributes:
        inexact: whether a transaction was removed from a record of several of which not every field can be taken back:
            a largest number, a last time, distinct values.
    """

    def __init__(self, layout: RecordLayout, before: StoredRecords) -> None:
        """Takes the records, in order of their entities' codes."""
        self._layout = layout
        self._codes = before.codes
        self._records = before.records.copy()
        self._remaining = np.ones(len(before.codes), dtype=np.bool_)
        self.inexact = False

    def remove(self, code: int, record: np.void, *, merged: bool) -> None:
        """Removes a transaction of the entity with this code: its own record or, if `merged`, its part of a record.

        Without `merged` it is not known that the records hold the transaction: then only an equal record is removed.
        """
        begin, end = self._codes.searchsorted([code, code + 1]).tolist()
        own = self._records[begin:end]
        there = begin + np.flatnonzero((own["bucket"] == record["bucket"]) & self._remaining[begin:end])
        alone = [at for at in there.tolist() if self._records[at].tobytes() == record.tobytes()]
        if alone:
            self._remaining[alone[0]] = False
        elif merged:
            self._subtract(there[self._records["count"][there] > 0], record)

    def remaining(self) -> StoredRecords:
        """The records without the removed transactions."""
        return StoredRecords(self._codes[self._remaining], self._records[self._remaining])

    def _subtract(self, there: "np.ndarray[tuple[int], np.dtype[np.int64]]", record: np.void) -> None:
        if not len(there):
            return
        at = there[self._records["count"][there].argmax()]
        for name in self._layout.adding:
            self._records[name][at] -= record[name]
        self.inexact |= self._layout.adding != self._layout.fields
