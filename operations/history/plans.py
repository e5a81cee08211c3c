"""In which states a transaction counts already: its record names the plan that it entered by, as a digest.

The gateway plans for the live version and the others that it has adopted, by ascending version. Of which versions a
plan was made is found by making the plans of those in the model store.
"""

from collections.abc import Iterator, Sequence
from itertools import permutations

from contract.schema import Contract
from history.plan import Plan
from operations.errors import OperationsError
from operations.store import version_archive
from operations.store.registry import Registry

ADOPTED = 3
"""Versions that a gateway has at a time: the live one, the one before, and one on trial."""
NEWEST = 12
"""Versions that are looked at: with more the plans would be thousands."""


class PlanLayouts:
    """Which layouts the plans of the versions in a store have."""

    def __init__(self, registry: Registry, own: Plan, loading: Contract) -> None:
        """Takes the plan of the load, which is known by itself, and the contract of its version."""
        self._registry = registry
        self._loading = loading
        self._found = {own.digest: _layouts(own)}
        self._own = own
        self._is_read = False

    def missing(self, plan: bytes) -> frozenset[int] | None:
        """The places, in the load's plan, of layouts that another plan has not; None of a plan that nobody knows."""
        if plan not in self._found and not self._is_read:
            self._is_read = True
            self._read()
        found = self._found.get(plan)
        if found is None:
            return None
        return frozenset(place for place, layout in enumerate(self._own.layouts) if layout.digest not in found)

    def _read(self) -> None:
        contracts = [self._loading, *self._contracts()]
        for plan in _plans(list({contract.fingerprint: contract for contract in contracts}.values())):
            self._found[plan.digest] = _layouts(plan)

    def _contracts(self) -> Iterator[Contract]:
        """Of versions that can be read; what is damaged is told of elsewhere."""
        for entry in sorted(self._registry.entries(), key=lambda entry: -entry.version)[:NEWEST]:
            try:
                yield version_archive.read_archive(self._registry, entry.version).contract
            except OperationsError:
                continue


def _plans(contracts: Sequence[Contract]) -> Iterator[Plan]:
    """All plans of at most ADOPTED contracts; the order of the others is part of a plan."""
    for size in range(1, ADOPTED + 1):
        for chosen in permutations(contracts, size):
            if plan := Plan.of(chosen):
                yield plan


def _layouts(plan: Plan) -> frozenset[bytes]:
    return frozenset(layout.digest for layout in plan.layouts)
