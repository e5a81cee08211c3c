"""What history a version needs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.model_card import ModelCard
from contract.schema import Contract
from history.plan import Plan
from operations.errors import OperationsError
from operations.store import version_archive
from operations.store.registry import Registry
from operations.store.release_record import read_record


class NoHistory(OperationsError):
    """The version has no history features."""


@dataclass(frozen=True, slots=True, eq=False)
class VersionHistory:
    """The history of a version.

    Attributes:
        plan: its windows, and those of the live version that its columns can give: what a live transaction would enter.
    """

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
        return cls(chosen, archive.contract, archive.card, plan)

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
