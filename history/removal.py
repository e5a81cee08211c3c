"""Taking a transaction out of the states that it is counted in: so that one that comes again does not see itself."""

import numpy as np

from history.evaluation import StoredRecords
from history.layout import Layout


class RowRemoval:
    """Records of one layout, from which some are taken out.

    Attributes:
        muddled: whether one stood in a record with others of which not all can be told without it: a largest number, a
            last time, distinct values.
    """

    def __init__(self, layout: Layout, before: StoredRecords) -> None:
        """Takes the records, in order of their entities' codes."""
        self._layout = layout
        self._codes = before.codes
        self._records = before.records.copy()
        self._stays = np.ones(len(before.codes), dtype=np.bool_)
        self.muddled = False

    def take_out(self, code: int, record: np.void, *, merged: bool) -> None:
        """Takes a transaction out: where it stands alone and, if `merged`, from a record of several.

        Without `merged` it is not known whether it is there at all, nor is it where there is no such record.
        """
        begin, end = self._codes.searchsorted([code, code + 1]).tolist()
        mine = self._records[begin:end]
        there = begin + np.flatnonzero((mine["bucket"] == record["bucket"]) & self._stays[begin:end])
        alone = [at for at in there.tolist() if self._records[at].tobytes() == record.tobytes()]
        if alone:
            self._stays[alone[0]] = False
        elif merged:
            self._subtract(there[self._records["count"][there] > 0], record)

    def left(self) -> StoredRecords:
        """The others."""
        return StoredRecords(self._codes[self._stays], self._records[self._stays])

    def _subtract(self, there: "np.ndarray[tuple[int], np.dtype[np.int64]]", record: np.void) -> None:
        if not len(there):
            return
        at = there[self._records["count"][there].argmax()]
        for name in self._layout.adding:
            self._records[name][at] -= record[name]
        self.muddled |= self._layout.adding != self._layout.fields
