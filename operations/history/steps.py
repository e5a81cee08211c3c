"""The steps by which past transactions enter Redis. No I/O.

Each transaction counts once in each state, whatever was scored or loaded before:

- Those young enough to be known by their ids (KNOWN_DAYS, counted back from the newest one) enter as live ones do. One
  that is known already counts only in the states that the plan of its record did not have, those of a version with
  other windows; that it counts there is claimed by another digest.
- Older ones count by entity: not in a state that holds something as old already.

The steps and their order follow from the transactions, the plan and the horizon alone; each is one call of the script
ENTER, which notes in the same moment that it is done.
"""

import numpy as np

from history.keyed_hash import HistoryKey
from history.plan import Plan
from history.session import EXPIRY_MARGIN
from operations.history.old_step import Old, OldStep
from operations.history.part import Part
from operations.history.past import PastTransactions
from operations.history.step import Step
from operations.history.young_step import Entering, Missing, YoungStep, blocks


class Steps:
    """All steps of a load, the old transactions' first."""

    def __init__(self, plan: Plan, past: PastTransactions, horizon: float, missing: Missing, key: HistoryKey) -> None:
        """Takes the time from which on transactions enter by their ids, and what these are keyed with."""
        expire = plan.seconds + EXPIRY_MARGIN
        parts = [Part(layout, past, key) for layout in plan.layouts]
        self._entering = Entering(plan, past, parts, horizon, expire, missing, key)
        old = [Old.of(part, self._old_rows(part), horizon) for part in parts]
        self._cuts = [(each, codes) for each in old for codes in each.cuts()]
        self._young = blocks(past, horizon, parts)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._cuts) + len(self._young)

    def __getitem__(self, number: int) -> Step:
        """One of them, from 0; it is worked out now."""
        if number < len(self._cuts):
            return OldStep(*self._cuts[number], self._entering.expire)
        return YoungStep(self._entering, self._young[number - len(self._cuts)])

    def _old_rows(self, part: Part) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """Those that a window of this part can still see."""
        shared = self._entering
        oldest = shared.past.newest - part.reach(shared.plan)
        return np.flatnonzero((shared.past.seconds < shared.horizon) & (shared.past.met >= oldest))
