"""What history a version needs, and what the other versions in the store keep of transactions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

from contract.model_card import ModelCard
from contract.schema import Contract
from history.plan import Plan
from operations.errors import OperationsError
from operations.store import version_archive
from operations.store.registry import Registry
from operations.store.release_record import read_record

MAX_ADOPTED = 3
"""Versions that a gateway serves at a time: the live one, the one before, and one on trial."""
MAX_VERSIONS = 12
"""The newest versions, of which plans are made: with more they would be thousands."""


class NoHistory(OperationsError):
    """The version has no history features."""


@dataclass(frozen=True, slots=True, eq=False)
class VersionHistory:
    """The history of a version.

    Attributes:
        plan: its windows, and those of the live version that its columns can give: what a live transaction would enter.
    """

    registry: Registry
    version: int
    contract: Contract
    card: ModelCard
    plan: Plan

    @classmethod
    def of(cls, store: Path, version: int | None) -> "VersionHistory":
        """Of a version in the store; None is the live one.

        Raises:
            NoHistory: it has no history features.
            OperationsError: there is no such version, or none is live.
        """
        registry, live = Registry(store), read_record(store)
        if version is None and live is None:
            raise OperationsError("no version is live: say for which to load, with --version")
        chosen = version or (live.version if live else 0)
        archive = version_archive.read_archive(registry, chosen)
        contracts = [archive.contract]
        if live and live.version != chosen:
            contracts.append(version_archive.read_archive(registry, live.version).contract)
        plan = Plan.of(contracts) if archive.contract.history else None
        if plan is None:
            raise NoHistory(f"version {chosen} has no history features: there is nothing to load for it")
        return cls(registry, chosen, archive.contract, archive.card, plan)

    @property
    def simulation(self) -> dict[str, Any] | None:
        """The simulator's settings by which the training data was made; None where it was not simulated."""
        source = self.card.data.get("source")
        simulation = source.get("simulator") if isinstance(source, dict) else None
        return simulation if isinstance(simulation, dict) else None

    def simulated_csv(self) -> bytes:
        """The simulated transactions that the version was trained on, made once more, as a CSV file.

        Raises:
            OperationsError: the version was trained on other data, or by a simulator of another release.
        """
        # Only here: a stack that starts asks the rest of this module, and must not wait for these.
        from training.data import csv_bytes
        from training.errors import TrainingError
        from training.simulator import Simulation, simulate

        if self.simulation is None:
            raise OperationsError(f"version {self.version} was not trained on the simulator: give a file")
        try:
            return csv_bytes(simulate(Simulation(**self.simulation)))
        except (TypeError, TrainingError):
            raise OperationsError(f"version {self.version} was trained by a simulator of another release") from None


class PlanLayouts:
    """Which layouts the plan has by which a known transaction entered: its record names the plan by a digest.

    The gateway plans for the live version and the others that it has adopted, by ascending version. The plans are found
    by making those of the versions in the store.
    """

    def __init__(self, registry: Registry, plan: Plan, contract: Contract) -> None:
        """Takes the plan of the load, which is known by itself, and the contract of its version."""
        self._registry = registry
        self._contract = contract
        self._plan = plan
        self._layouts = {plan.digest: _layout_digests(plan)}
        self._is_read = False

    def missing(self, digest: bytes) -> frozenset[int] | None:
        """The positions in the load's plan of the layouts that the plan of this digest lacks; None if unknown."""
        if digest not in self._layouts and not self._is_read:
            self._is_read = True
            contracts = {contract.fingerprint: contract for contract in (self._contract, *self._stored_contracts())}
            self._layouts |= {plan.digest: _layout_digests(plan) for plan in _plans(list(contracts.values()))}
        layouts = self._layouts.get(digest)
        if layouts is None:
            return None
        return frozenset(place for place, layout in enumerate(self._plan.layouts) if layout.digest not in layouts)

    def _stored_contracts(self) -> Iterator[Contract]:
        """Those of versions that can be read; other commands report a damaged one."""
        for entry in sorted(self._registry.entries(), key=lambda entry: -entry.version)[:MAX_VERSIONS]:
            try:
                yield version_archive.read_archive(self._registry, entry.version).contract
            except OperationsError:
                continue


def _plans(contracts: Sequence[Contract]) -> Iterator[Plan]:
    """All plans of at most MAX_ADOPTED contracts, in every order: the order is part of a plan."""
    for size in range(1, MAX_ADOPTED + 1):
        for chosen in permutations(contracts, size):
            if plan := Plan.of(chosen):
                yield plan


def _layout_digests(plan: Plan) -> frozenset[bytes]:
    return frozenset(layout.digest for layout in plan.layouts)
