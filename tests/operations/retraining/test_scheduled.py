"""`fraud retrain`: what a timer trains and releases, by settings alone."""

import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from operations.errors import OperationsError
from operations.retraining.scheduled import retrain
from operations.settings import StatePaths
from operations.store.registry import Registry
from releases.record import Release
from tests.operations.claims import claims, senseless, trained


class Weekly:
    """A directory in which it runs."""

    def __init__(self, root: Path) -> None:
        self.paths = StatePaths(root, root / "model_store")
        self.store = Registry(self.paths.store)
        self.data = root / "claims.csv"
        self._said = io.StringIO()

    def ring(self, **env: str) -> str:
        """What is said."""
        retrain(self.paths, env, Console(file=self._said, width=400))
        return self._said.getvalue()

    def versions(self) -> list[int]:
        return [entry.version for entry in self.store.entries()]


@pytest.fixture
def weekly(tmp_path: Path) -> Weekly:
    """An empty directory."""
    return Weekly(tmp_path)


@pytest.mark.parametrize("settings", [{}, {"TRAINING_DATA": ""}])
def test_without_data_nothing_is_trained(weekly: Weekly, settings: dict[str, str]) -> None:
    """One line says so, and that is no failure."""
    assert weekly.ring(**settings).splitlines() == [
        "TRAINING_DATA is not set: there is nothing to learn from, and nothing is trained."
    ]
    assert not weekly.paths.store.exists()


def test_a_new_file_is_trained_on(weekly: Weekly) -> None:
    """With `none` the version stays in the store, and one line tells how to release it."""
    claims().head(1600).to_csv(weekly.data, index=False)
    said = weekly.ring(TRAINING_DATA=str(weekly.data), RETRAIN_RELEASE="none")
    assert weekly.versions() == [1]
    assert "Make it live: fraud release 1" in said


def test_what_passes_is_released_by_default(weekly: Weekly) -> None:
    """The rule is asked with `live`; where nothing runs, the failure says how to release it by hand."""
    trained(weekly.store, weekly.data, senseless(claims().head(1600)))
    record = Release(1, None, "2026-05-01T00:00:00+00:00")
    (weekly.paths.store / "release.json").write_bytes(record.to_bytes())
    claims().to_csv(weekly.data, index=False)
    with pytest.raises(
        OperationsError, match="version 2 is in the model store but was not released: nothing runs here"
    ):
        weekly.ring(TRAINING_DATA=str(weekly.data))
    verdict = json.loads((weekly.paths.verdicts / "fraud-2.json").read_text())
    assert (verdict["release"], verdict["margin"], verdict["passed"]) == ("live", 0.0, True)


def test_the_same_file_is_not_trained_on_again(weekly: Weekly) -> None:
    """A version a week from a file that nothing renews would fill the disk and teach nothing."""
    trained(weekly.store, weekly.data, claims().head(1600))
    assert weekly.ring(TRAINING_DATA=str(weekly.data)).splitlines() == [
        "Version 1 was trained on this very file: nothing is trained."
    ]
    assert weekly.versions() == [1]


def test_a_schema_that_changed_makes_the_same_file_new(weekly: Weekly) -> None:
    """Other columns are another model; an older schema is the one that it was trained by."""
    trained(weekly.store, weekly.data, claims().head(1600))
    schema = weekly.data.with_suffix(".toml")
    schema.write_text("no schema")
    os.utime(schema, (0, 0))
    settings = {"TRAINING_DATA": str(weekly.data), "TRAINING_SCHEMA": str(schema)}
    assert "nothing is trained" in weekly.ring(**settings)
    later = datetime.now(UTC).timestamp() + 60
    os.utime(schema, (later, later))
    with pytest.raises(OperationsError):  # It is read now, and is no schema.
        weekly.ring(**settings)


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
def test_a_wrong_setting_is_refused_before_a_training(weekly: Weekly, settings: dict[str, str], reason: str) -> None:
    """Also where there are no data: a mistake is told before the first training is lost to it."""
    with pytest.raises(OperationsError, match=reason):
        weekly.ring(**settings)
    assert not weekly.paths.store.exists()
