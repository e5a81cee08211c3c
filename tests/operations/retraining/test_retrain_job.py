"""`fraud retrain`: what a timer trains and releases, by settings alone."""

import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from operations.errors import OperationsError
from operations.retraining.retrain_job import retrain
from operations.settings import StatePaths
from operations.store.registry import Registry
from releases.record import Release
from tests.operations.claims import claims, trained, unlearnable


class ScheduledRetraining:
    """A directory in which it runs."""

    def __init__(self, root: Path) -> None:
        self.paths = StatePaths(root, root / "model_store")
        self.store = Registry(self.paths.store)
        self.data = root / "claims.csv"
        self._output = io.StringIO()

    def run(self, **env: str) -> str:
        """What is said."""
        retrain(self.paths, env, Console(file=self._output, width=400))
        return self._output.getvalue()

    def versions(self) -> list[int]:
        return [entry.version for entry in self.store.entries()]


@pytest.fixture
def schedule(tmp_path: Path) -> ScheduledRetraining:
    """An empty directory."""
    return ScheduledRetraining(tmp_path)


@pytest.mark.parametrize("settings", [{}, {"TRAINING_DATA": ""}])
def test_without_data_nothing_is_trained(schedule: ScheduledRetraining, settings: dict[str, str]) -> None:
    """One line says so, and that is no failure."""
    assert schedule.run(**settings).splitlines() == [
        "TRAINING_DATA is not set: there is nothing to learn from, and nothing is trained."
    ]
    assert not schedule.paths.store.exists()


def test_a_new_file_is_trained_on(schedule: ScheduledRetraining) -> None:
    """With `none` the version stays in the store, and one line tells how to release it."""
    claims().head(1600).to_csv(schedule.data, index=False)
    output = schedule.run(TRAINING_DATA=str(schedule.data), RETRAIN_RELEASE="none")
    assert schedule.versions() == [1]
    assert "Make it live: fraud release 1" in output


def test_what_passes_is_released_by_default(schedule: ScheduledRetraining) -> None:
    """The rule is asked with `live`; where nothing runs, the failure says how to release it by hand."""
    trained(schedule.store, schedule.data, unlearnable(claims().head(1600)))
    record = Release(1, None, "2026-05-01T00:00:00+00:00")
    (schedule.paths.store / "release.json").write_bytes(record.to_bytes())
    claims().to_csv(schedule.data, index=False)
    with pytest.raises(
        OperationsError, match="version 2 is in the model store but was not released: nothing runs here"
    ):
        schedule.run(TRAINING_DATA=str(schedule.data))
    verdict = json.loads((schedule.paths.verdicts / "fraud-2.json").read_text())
    assert (verdict["release"], verdict["margin"], verdict["passed"]) == ("live", 0.0, True)


def test_the_same_file_is_not_trained_on_again(schedule: ScheduledRetraining) -> None:
    """A version a week from a file that nothing renews would fill the disk and teach nothing."""
    trained(schedule.store, schedule.data, claims().head(1600))
    assert schedule.run(TRAINING_DATA=str(schedule.data)).splitlines() == [
        "Version 1 was trained on this very file: nothing is trained."
    ]
    assert schedule.versions() == [1]


def test_a_schema_that_changed_makes_the_same_file_new(schedule: ScheduledRetraining) -> None:
    """Other columns are another model; an older schema is the one that it was trained by."""
    trained(schedule.store, schedule.data, claims().head(1600))
    schema = schedule.data.with_suffix(".toml")
    schema.write_text("no schema")
    os.utime(schema, (0, 0))
    settings = {"TRAINING_DATA": str(schedule.data), "TRAINING_SCHEMA": str(schema)}
    assert "nothing is trained" in schedule.run(**settings)
    later = datetime.now(UTC).timestamp() + 60
    os.utime(schema, (later, later))
    with pytest.raises(OperationsError):  # It is read now, and is no schema.
        schedule.run(**settings)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"RETRAIN_RELEASE": "yes"}, "RETRAIN_RELEASE is one of none, shadow, canary, live"),
        ({"RETRAIN_MARGIN": "much"}, "RETRAIN_MARGIN is a number"),
        ({"RETRAIN_MARGIN": "2"}, "from 0 to 1"),
        ({"RETRAIN_SHARE": "0"}, "no share"),
        ({"TRAINING_DATA": "/nowhere/claims.csv"}, "cannot be read: /nowhere/claims.csv: No such file"),
    ],
)
def test_a_wrong_setting_is_refused_before_a_training(
    schedule: ScheduledRetraining, settings: dict[str, str], reason: str
) -> None:
    """Also where there are no data: a mistake is told before the first training is lost to it."""
    with pytest.raises(OperationsError, match=reason):
        schedule.run(**settings)
    assert not schedule.paths.store.exists()
