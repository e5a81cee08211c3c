"""Two real trainings against each other."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from contract.decision import NO_OVERRIDES, ThresholdOverrides
from operations.retraining.live_comparison import compare_with_live
from operations.retraining.release_rule import ReleaseCriteria, ReleaseMode, Verdict
from operations.store.registry import Registry
from releases.record import Release
from tests.operations.claims import claims, trained, unlearnable

SENSELESS, GOOD, WITHOUT_WEIGHT = 1, 2, 3


@dataclass(frozen=True)
class Trainings:
    """Three versions, and the file that each was trained on."""

    store: Path
    files: dict[int, Path]


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    """A version that learned noise from older rows, a good one, and one that knows a column less."""
    directory = tmp_path_factory.mktemp("trainings")
    registry, frame = Registry(directory / "model_store"), claims()
    frames = {
        SENSELESS: unlearnable(frame.head(1600)),
        GOOD: frame,
        WITHOUT_WEIGHT: frame.drop(columns="kilograms"),
    }
    files = {version: directory / f"{version}.csv" for version in frames}
    for version, rows in frames.items():
        assert trained(registry, files[version], rows).version == version
    return Trainings(registry.root, files)


def judged(
    trainings: Trainings,
    version: int,
    live: int,
    goal: ReleaseMode = ReleaseMode.LIVE,
    thresholds: ThresholdOverrides = NO_OVERRIDES,
) -> Verdict:
    """A version judged against a live one."""
    record = Release(live, None, "2026-05-01T00:00:00+00:00")
    (trainings.store / "release.json").write_bytes(record.to_bytes())
    return compare_with_live(
        Registry(trainings.store), version, trainings.files[version], ReleaseCriteria(goal), thresholds
    )


def test_a_better_version_passes(trainings: Trainings) -> None:
    """Against a live version that learned noise, the whole test period counts: it is newer than all that one saw."""
    verdict = judged(trainings, GOOD, live=SENSELESS)
    assert verdict.passed
    assert verdict.compared is not None
    assert verdict.compared.low > 0.1
    assert verdict.compared.new.sample.rows == 360
    assert str(verdict.compared.last).startswith("2026-04-11")


def test_each_scores_by_its_own_contract(trainings: Trainings) -> None:
    """A live version that reads a column less is compared on the same rows."""
    verdict = judged(trainings, GOOD, live=WITHOUT_WEIGHT)
    assert verdict.compared is not None
    assert verdict.compared.low > 0
    assert verdict.compared.live.sample.rows == verdict.compared.new.sample.rows


@pytest.mark.parametrize(("threshold", "rate"), [(0.0, 1.0), (1.0, 0.0)])
def test_both_are_judged_by_the_thresholds_in_force(trainings: Trainings, threshold: float, rate: float) -> None:
    """Where the gateways decide by thresholds of their own, no card's own ones count."""
    compared = judged(trainings, GOOD, live=SENSELESS, thresholds=ThresholdOverrides(threshold, threshold)).compared
    assert compared is not None
    assert (compared.new.sample.alert_rate, compared.live.sample.alert_rate) == (rate, rate)


def test_an_equal_version_may_be_a_shadow_alone(trainings: Trainings) -> None:
    """A tie is no gain, so the live version stays; to be scored beside it costs nothing."""
    assert "no better" in str(judged(trainings, GOOD, live=GOOD).objection)
    assert judged(trainings, GOOD, live=GOOD, goal=ReleaseMode.SHADOW).passed


def test_columns_that_the_data_lacks_are_named(trainings: Trainings) -> None:
    """A live version that needs another column cannot be compared, and the verdict says which."""
    verdict = judged(trainings, WITHOUT_WEIGHT, live=GOOD)
    assert "kilograms" in str(verdict.objection)
    assert verdict.compared is None


def test_rows_that_the_live_version_learned_from_are_not_judged_on(trainings: Trainings) -> None:
    """A version trained on older data has no row that the live one does not know."""
    assert "has learned from the newest period" in str(judged(trainings, SENSELESS, live=GOOD).objection)


def test_a_damaged_live_archive_is_not_loaded(trainings: Trainings, tmp_path: Path) -> None:
    """What does not verify is not compared with."""
    copy = Trainings(tmp_path / "model_store", trainings.files)
    shutil.copytree(trainings.store, copy.store)
    archive = copy.store / f"fraud-{SENSELESS}.mar"
    archive.write_bytes(archive.read_bytes()[:-1])
    assert "SHA-256 differs" in str(judged(copy, GOOD, live=SENSELESS).objection)


@pytest.mark.parametrize(
    ("goal", "passed"), [(ReleaseMode.LIVE, True), (ReleaseMode.CANARY, False), (ReleaseMode.SHADOW, False)]
)
def test_the_first_version_may_go_live(trainings: Trainings, goal: ReleaseMode, *, passed: bool) -> None:
    """Where nothing is live a version can be released, but not tried beside another."""
    (trainings.store / "release.json").unlink(missing_ok=True)
    verdict = compare_with_live(Registry(trainings.store), GOOD, trainings.files[GOOD], ReleaseCriteria(goal))
    assert (verdict.passed, verdict.live) == (passed, None)
