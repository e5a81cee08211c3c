"""A reconciler over a fake TorchServe, with a clock that a test moves and ears for what it says."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from operations.files import durable
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.reconciler import Reconciler
from operations.rollout.version_loader import ReconcileResult
from operations.store.release_record import read_record
from releases.record import Release, Trial, TrialKind
from tests.operations.fake_torchserve import FakeTorchServe, constant


class ManualClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def canary(version: int) -> Trial:
    """A trial of a version."""
    return Trial(TrialKind.CANARY, version, 0.05, "2026-01-01T00:00:00+00:00")


@dataclass
class ReconcilerScenario:
    """A store, a TorchServe, and the reconciler between them."""

    target: DeploymentTarget
    torchserve: FakeTorchServe
    base: Callable[[], int] | None = None
    clock: ManualClock = field(default_factory=ManualClock)
    messages: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reconciler = Reconciler(self.target, self.messages.append, self.alerts.append, self.base, self.clock)

    def reconcile(self, after: float = 0.0) -> ReconcileResult:
        """One look, so many seconds after the last one."""
        self.clock.now += after
        return self.reconciler.reconcile()

    def reconcile_until_idle(self) -> list[ReconcileResult]:
        """As many looks as any back-off may take."""
        return [self.reconcile(after=40) for _ in range(4)]

    @property
    def record(self) -> Release:
        """The release record."""
        record = read_record(self.target.store)
        assert record is not None
        return record

    def write(self, live: int, previous: int | None = None, trial: Trial | None = None) -> None:
        """Puts a release record in place, as a release would."""
        record = Release(live, previous, "2026-01-01T00:00:00+00:00", trial)
        durable.write(self.target.record_path, record.to_bytes())

    def damage(self, *versions: int) -> None:
        """Makes archives other ones than those that were added."""
        for version in versions:
            (self.target.store / f"fraud-{version}.mar").write_bytes(b"archive X")

    def refuse(self, *versions: int) -> None:
        """Makes TorchServe refuse versions that verify."""
        self.torchserve.broken |= set(versions)

    def make_unproven(self, *versions: int) -> None:
        """Makes versions score otherwise than their training did."""
        self.torchserve.models |= dict.fromkeys(versions, constant(0.9, 0.9))

    def change_entry(self, version: int, **fields: object) -> None:
        """Changes the entry of a version."""
        path = self.target.store / f"fraud-{version}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    def restart_server(self) -> None:
        """TorchServe has ended and started again: nothing is registered."""
        self.torchserve.registered.clear()
        self.torchserve.default = None
