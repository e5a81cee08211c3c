"""Which version's history is loaded, from what, and into which Redis."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.card import ModelCard
from contract.schema import Contract
from history.plan import Plan
from operations.errors import OperationsError
from operations.store import version_archive
from operations.store.registry import Registry
from operations.store.release_record import read_record


class NoHistory(OperationsError):
    """The version looks back on nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class VersionHistory:
    """What is loaded for.

    Attributes:
        version: whose contract says what the columns are.
        plan: its windows, and those of the live version that its columns can give: what a live transaction would enter.
    """

    registry: Registry
    version: int
    contract: Contract
    card: ModelCard
    plan: Plan

    @property
    def simulation(self) -> dict[str, Any] | None:
        """How the transactions were simulated that the version was trained on; None where they were not."""
        source = self.card.data.get("source")
        found = source.get("simulator") if isinstance(source, dict) else None
        return found if isinstance(found, dict) else None


def wanted(store: Path, version: int | None) -> VersionHistory:
    """For the live version, or another one.

    Raises:
        NoHistory: it has no history features.
        OperationsError: there is no such version, or none is live.
    """
    registry, live = Registry(store), read_record(store)
    if version is None and live is None:
        raise OperationsError("no version is live: say for which to load, with --version")
    chosen = version or (live.version if live else 0)
    found = version_archive.read_archive(registry, chosen)
    contracts = [found.contract]
    if live and live.version != chosen:
        contracts.append(version_archive.read_archive(registry, live.version).contract)
    plan = Plan.of(contracts) if found.contract.history else None
    if plan is None:
        raise NoHistory(f"version {chosen} has no history features: there is nothing to load for it")
    return VersionHistory(registry, chosen, found.contract, found.card, plan)
