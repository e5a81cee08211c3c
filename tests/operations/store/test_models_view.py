"""The table of `fraud models`."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from operations.rollout.deployment import DeploymentTarget
from operations.rollout.release import release
from operations.store.models_view import models_table, release_state
from operations.store.registry import Registry
from releases.record import FILE_NAME, Release, Trial, TrialKind
from tests.operations import archives

NOW = datetime(2026, 1, 3, tzinfo=UTC)
RECORD = Release(3, 2, "", Trial(TrialKind.CANARY, 4, 0.05, ""), instead_of=1)


def shown(store: Path, now: datetime = NOW) -> str:
    """What a person sees."""
    console = Console(width=200)
    with console.capture() as captured:
        console.print(models_table(store, now), soft_wrap=True)
    return captured.get()


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    """Where nothing is, an empty table would help nobody."""
    assert shown(tmp_path / "[none]") == f"no versions in {tmp_path}/[none]; `fraud train` makes one\n"


def test_a_damaged_version_is_shown_beside_the_others(registry: Registry, target: DeploymentTarget) -> None:
    """One damaged entry takes nothing from the rest."""
    release(target, 1, lambda _: None)
    (registry.root / "fraud-2.json").write_text("{")
    words = [line.split() for line in shown(registry.root).splitlines()[1:]]
    assert [(line[0], line[-1]) for line in words] == [("2", "damaged"), ("1", "live")]


@pytest.mark.parametrize("archive", [None, b"short"])
def test_a_version_without_its_archive_is_damaged(registry: Registry, archive: bytes | None) -> None:
    """An entry alone is not a version that anybody can release; the live one stays named as such."""
    (registry.root / FILE_NAME).write_bytes(Release(2, None, "").to_bytes())
    path = registry.root / "fraud-2.mar"
    path.unlink() if archive is None else path.write_bytes(archive)
    assert shown(registry.root).splitlines()[1].rstrip().endswith("damaged, live")


def test_a_version_is_listed_with_what_it_is_chosen_by(tmp_path: Path) -> None:
    """Age, quality on the test period, share flagged and contract are in one line."""
    registry = Registry(tmp_path / "model_store")
    archives.add(
        registry, 1, metrics={"test": {"average_precision": 0.46291, "roc_auc": 0.93281, "flagged_share": 0.0183}}
    )
    line = shown(registry.root).splitlines()[1].split()
    assert line == ["1", "2", "d", "0.463", "0.933", "1.83%", registry.entry(1).contract_fingerprint[:8]]


@pytest.mark.parametrize(
    ("version", "messages"),
    [(1, "failed to load"), (2, "previous"), (3, "live, took over for 1"), (4, "canary 5%"), (5, "")],
)
def test_the_record_says_what_a_version_is(version: int, messages: str) -> None:
    """Each version's part in the release record is named; the others have none."""
    assert release_state(version, RECORD) == messages


def test_a_shadow_is_named() -> None:
    """It answers for nobody, so its share is no share of the answers."""
    record = replace(RECORD, trial=Trial(TrialKind.SHADOW, 2, 1.0, ""))
    assert release_state(2, record) == "previous, shadow"


def test_before_the_first_release_nothing_has_a_state() -> None:
    """Without a record there is nothing to say."""
    assert release_state(1, None) == ""
