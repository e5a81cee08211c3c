"""`fraud train --release`: training, verdict and release in one."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from contract.description import Description
from operations.errors import OperationsError
from operations.retraining.cycle import Find, retrain
from operations.retraining.release_rule import ReleaseCriteria, ReleaseMode, Verdict
from operations.retraining.train import TrainOptions
from operations.rollout.deployment import DeploymentTarget
from operations.settings import StatePaths
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.store.version_archive import load_version
from releases.record import Release, TrialKind
from tests.operations.claims import claims, trained, unlearnable
from tests.operations.fake_torchserve import FakeTorchServe


@dataclass
class LoadingTorchServe(FakeTorchServe):
    """A TorchServe that scores with the archives of a store."""

    store: Path = Path()

    def _register(self, params: httpx.QueryParams) -> httpx.Response:
        version = int(params["url"].removeprefix("fraud-").removesuffix(".verified.mar"))
        held = load_version(Registry(self.store), version)
        self.models[version] = lambda matrix: held.score(matrix.copy()).reshape(-1, 1)
        self.descriptions[version] = Description(held.contract, held.card, held.golden, "cpu", half_precision=False)
        return super()._register(params)


class RetrainingSetup:
    """A directory in which trainings are run as a timer runs them."""

    def __init__(self, root: Path) -> None:
        self.paths = StatePaths(root, root / "model_store")
        self.data = root / "claims.csv"
        self.store = Registry(self.paths.store)
        self.torchserve = LoadingTorchServe(store=self.paths.store)
        self.running: DeploymentTarget | None = DeploymentTarget(
            self.store, self.paths.verified, self.torchserve.server(), 2, "redis://unused"
        )
        self.find: Find = self._find
        self.output = io.StringIO()

    def _find(self) -> DeploymentTarget:
        if self.running is None:
            raise OperationsError("nothing runs here")
        return self.running

    def first(self, *, learnable: bool) -> None:
        """Trains version 1 on the older claims and records it as live."""
        older = claims().head(1600)
        trained(self.store, self.data, older if learnable else unlearnable(older))
        self.record(1)

    def record(self, version: int) -> None:
        record = Release(version, None, "2026-05-01T00:00:00+00:00")
        (self.paths.store / "release.json").write_bytes(record.to_bytes())

    def run(self, goal: ReleaseMode, margin: float = 0.0) -> Verdict:
        """Retrains on all claims."""
        claims().to_csv(self.data, index=False)
        console = Console(file=self.output, width=400)
        return retrain(
            self.paths, self.find, TrainOptions(self.data, None, 0, 3), ReleaseCriteria(goal, margin), console
        )

    def live(self) -> int | None:
        record = read_record(self.paths.store)
        return record.version if record else None


@pytest.fixture
def setup(tmp_path: Path) -> RetrainingSetup:
    """An empty directory beside a TorchServe that has just started."""
    return RetrainingSetup(tmp_path)


def test_a_better_version_goes_live(setup: RetrainingSetup) -> None:
    """Trained, judged, loaded, proven by its golden rows, recorded."""
    setup.first(learnable=False)
    assert setup.run(ReleaseMode.LIVE).passed
    assert setup.live() == 2
    assert "Version 2 is live" in setup.output.getvalue()


def test_a_canary_gets_its_share(setup: RetrainingSetup) -> None:
    """What passes as a canary is put on trial beside the live version."""
    setup.first(learnable=False)
    setup.run(ReleaseMode.CANARY)
    record = read_record(setup.paths.store)
    assert record is not None
    assert record.trial is not None
    assert (record.version, record.trial.version, record.trial.kind, record.trial.share) == (
        1, 2, TrialKind.CANARY, 0.05,
    )  # fmt: skip


def test_what_does_not_pass_stays_in_the_store(setup: RetrainingSetup) -> None:
    """A margin that is not reached is a verdict, kept for the job to read, and no failure."""
    setup.first(learnable=True)
    assert not setup.run(ReleaseMode.LIVE, margin=0.9).passed
    assert setup.live() == 1
    assert setup.store.newest() == 2
    kept = json.loads((setup.paths.root / "var" / "verdicts" / "fraud-2.json").read_text())
    assert (kept["version"], kept["live"], kept["passed"]) == (2, 1, False)


def test_without_a_stack_it_is_judged_all_the_same(setup: RetrainingSetup) -> None:
    """Where nothing runs the version is trained and judged, and one line tells how to release it."""
    setup.running = None
    with pytest.raises(OperationsError, match="was not released: nothing runs here; then: fraud release 1"):
        setup.run(ReleaseMode.LIVE)
    assert setup.store.newest() == 1
    assert (setup.paths.root / "var" / "verdicts" / "fraud-1.json").exists()


def test_a_failed_release_leaves_the_version_in_the_store(setup: RetrainingSetup) -> None:
    """A version that passed and could not be loaded is a failure; the live one stays."""
    setup.first(learnable=False)
    setup.torchserve.broken = {2}
    with pytest.raises(OperationsError, match="version 2 is in the model store but was not released"):
        setup.run(ReleaseMode.LIVE)
    assert (setup.live(), setup.store.newest()) == (1, 2)


def test_a_version_that_was_not_beaten_stays(setup: RetrainingSetup) -> None:
    """Another version that went live during the training was not compared with, and is not replaced."""
    setup.first(learnable=False)
    check, live = setup.find, iter([1, 7])

    def find() -> DeploymentTarget:
        setup.record(next(live))
        return check()

    setup.find = find
    with pytest.raises(OperationsError, match="version 7 went live meanwhile"):
        setup.run(ReleaseMode.LIVE)
    assert setup.live() == 7


def test_another_store_is_not_released_to(setup: RetrainingSetup, tmp_path: Path) -> None:
    """A stack that was started meanwhile and loads from elsewhere has other versions under the same numbers."""
    elsewhere = DeploymentTarget(Registry(tmp_path / "elsewhere"), tmp_path / "verified", setup.torchserve.server(), 2)
    looks = iter([setup.find(), elsewhere])
    setup.find = lambda: next(looks)
    with pytest.raises(OperationsError, match="the stack that runs here loads from"):
        setup.run(ReleaseMode.LIVE)
