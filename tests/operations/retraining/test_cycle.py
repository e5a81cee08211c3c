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
from operations.retraining.train import TrainOptions
from operations.retraining.verdict import ReleaseCriteria, ReleaseMode, Verdict
from operations.rollout.deployment import DeploymentTarget
from operations.settings import StatePaths
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.store.version_archive import load_version
from releases.record import Release, TrialKind
from tests.operations.claims import claims, senseless, trained
from tests.operations.fake_torchserve import FakeTorchServe


@dataclass
class ServingVersions(FakeTorchServe):
    """A TorchServe that scores with the archives of a store."""

    store: Path = Path()

    def _register(self, params: httpx.QueryParams) -> httpx.Response:
        version = int(params["url"].removeprefix("fraud-").removesuffix(".verified.mar"))
        held = load_version(Registry(self.store), version)
        self.models[version] = lambda matrix: held.score(matrix.copy()).reshape(-1, 1)
        self.descriptions[version] = Description(held.contract, held.card, held.golden, "cpu", half_precision=False)
        return super()._register(params)


class Timer:
    """A directory in which trainings are run as a timer runs them."""

    def __init__(self, root: Path) -> None:
        self.paths = StatePaths(root, root / "model_store")
        self.data = root / "claims.csv"
        self.store = Registry(self.paths.store)
        self.torchserve = ServingVersions(store=self.paths.store)
        self.running: DeploymentTarget | None = DeploymentTarget(
            self.store, self.paths.verified, self.torchserve.server(), 2, "redis://unused"
        )
        self.find: Find = self._look
        self.said = io.StringIO()

    def _look(self) -> DeploymentTarget:
        if self.running is None:
            raise OperationsError("nothing runs here")
        return self.running

    def first(self, *, sense: bool) -> None:
        """Trains version 1 on the older claims and records it as live."""
        older = claims().head(1600)
        trained(self.store, self.data, older if sense else senseless(older))
        self.record(1)

    def record(self, version: int) -> None:
        record = Release(version, None, "2026-05-01T00:00:00+00:00")
        (self.paths.store / "release.json").write_bytes(record.to_bytes())

    def ring(self, goal: ReleaseMode, margin: float = 0.0) -> Verdict:
        """Retrains on all claims."""
        claims().to_csv(self.data, index=False)
        console = Console(file=self.said, width=400)
        return retrain(
            self.paths, self.find, TrainOptions(self.data, None, 0, 3), ReleaseCriteria(goal, margin), console
        )

    def live(self) -> int | None:
        record = read_record(self.paths.store)
        return record.version if record else None


@pytest.fixture
def timer(tmp_path: Path) -> Timer:
    """An empty directory beside a TorchServe that has just started."""
    return Timer(tmp_path)


def test_a_better_version_goes_live(timer: Timer) -> None:
    """Trained, judged, loaded, proven by its golden rows, recorded."""
    timer.first(sense=False)
    assert timer.ring(ReleaseMode.LIVE).passed
    assert timer.live() == 2
    assert "Version 2 is live" in timer.said.getvalue()


def test_a_canary_gets_its_share(timer: Timer) -> None:
    """What passes as a canary is put on trial beside the live version."""
    timer.first(sense=False)
    timer.ring(ReleaseMode.CANARY)
    record = read_record(timer.paths.store)
    assert record is not None
    assert record.trial is not None
    assert (record.version, record.trial.version, record.trial.kind, record.trial.share) == (
        1, 2, TrialKind.CANARY, 0.05,
    )  # fmt: skip


def test_what_does_not_pass_stays_in_the_store(timer: Timer) -> None:
    """A margin that is not reached is a verdict, kept for the job to read, and no failure."""
    timer.first(sense=True)
    assert not timer.ring(ReleaseMode.LIVE, margin=0.9).passed
    assert timer.live() == 1
    assert timer.store.newest() == 2
    kept = json.loads((timer.paths.root / "var" / "verdicts" / "fraud-2.json").read_text())
    assert (kept["version"], kept["live"], kept["passed"]) == (2, 1, False)


def test_without_a_stack_it_is_judged_all_the_same(timer: Timer) -> None:
    """Where nothing runs the version is trained and judged, and one line tells how to release it."""
    timer.running = None
    with pytest.raises(OperationsError, match="was not released: nothing runs here; then: fraud release 1"):
        timer.ring(ReleaseMode.LIVE)
    assert timer.store.newest() == 1
    assert (timer.paths.root / "var" / "verdicts" / "fraud-1.json").exists()


def test_a_failed_release_leaves_the_version_in_the_store(timer: Timer) -> None:
    """A version that passed and could not be loaded is a failure; the live one stays."""
    timer.first(sense=False)
    timer.torchserve.broken = {2}
    with pytest.raises(OperationsError, match="version 2 is in the model store but was not released"):
        timer.ring(ReleaseMode.LIVE)
    assert (timer.live(), timer.store.newest()) == (1, 2)


def test_a_rival_that_was_not_beaten_stays(timer: Timer) -> None:
    """Another version that went live during the training was not compared with, and is not replaced."""
    timer.first(sense=False)
    look, live = timer.find, iter([1, 7])

    def find() -> DeploymentTarget:
        timer.record(next(live))
        return look()

    timer.find = find
    with pytest.raises(OperationsError, match="version 7 went live meanwhile"):
        timer.ring(ReleaseMode.LIVE)
    assert timer.live() == 7


def test_another_store_is_not_released_to(timer: Timer, tmp_path: Path) -> None:
    """A stack that was started meanwhile and loads from elsewhere has other versions under the same numbers."""
    elsewhere = DeploymentTarget(Registry(tmp_path / "elsewhere"), tmp_path / "verified", timer.torchserve.server(), 2)
    looks = iter([timer.find(), elsewhere])
    timer.find = lambda: next(looks)
    with pytest.raises(OperationsError, match="the stack that runs here loads from"):
        timer.ring(ReleaseMode.LIVE)
