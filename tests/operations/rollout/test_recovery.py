"""Who takes over from a live version that cannot be loaded, and when nobody does."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.errors import OperationsError
from operations.files import durable
from operations.rollout import release as release_module
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.recovery import NO_CANDIDATE, candidates
from operations.rollout.release import release, take_over
from operations.rollout.version_loader import ReconcileResult
from operations.store import journal
from operations.store.registry import Entry, Registry
from releases.record import Release
from tests.operations.conftest import add
from tests.operations.fake_torchserve import FakeTorchServe
from tests.operations.stage import Stage, canary

OTHER = ["claim", "kilograms"]


def quiet(_: str) -> None:
    """Hears nothing."""


@contextmanager
def store(versions: int = 4) -> Iterator[Stage]:
    """A store with so many versions beside a TorchServe that has just started; nothing is live."""
    with tempfile.TemporaryDirectory() as directory:
        verified = Path(directory) / "verified"
        registry, torchserve = Registry(Path(directory) / "model_store"), FakeTorchServe(verified)
        for version in range(1, versions + 1):
            add(registry, Path(directory), version)
        yield Stage(DeploymentTarget(registry, verified, torchserve.server(), 2), torchserve)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Versions 1 to 4, of which 3 is live and 2 was before; TorchServe has just started."""
    with store() as stage:
        stage.write(3, previous=2)
        yield stage


def trains(stage: Stage, log: list[str]) -> Callable[[], int]:
    """A training that adds the next version."""

    def train() -> int:
        log.append("trained")
        version = stage.target.registry.next_version()
        add(stage.target.registry, stage.target.store.parent, version)
        return version

    return train


@pytest.mark.parametrize("spoil", ["archive", "entry", "no archive", "no entry"])
def test_another_takes_over_at_once_when_the_archive_is_unsound(stage: Stage, spoil: str) -> None:
    """What does not verify will not verify by trying: the next best version is live after one look."""
    name = "fraud-3.mar" if "archive" in spoil else "fraud-3.json"
    path = stage.target.store / name
    path.unlink() if spoil.startswith("no") else path.write_bytes(b"{")
    assert stage.reconcile() is ReconcileResult.TOOK_OVER
    assert (stage.record.version, stage.record.previous, stage.record.instead_of) == (2, 3, 3)
    assert stage.torchserve.registered == {2: ["READY", "READY"]}


def test_people_are_told_of_it(stage: Stage) -> None:
    """One alert says who took over from whom and why, the output why first, and the journal keeps both."""
    stage.damage(3)
    stage.reconcile()
    stage.until_quiet()
    assert [text.partition(" (")[0] for text in stage.alerts] == [
        "version 2 took over: version 3, which is live, cannot be loaded"
    ]
    assert "SHA-256" in stage.alerts[0]
    assert [text.partition(":")[0] for text in stage.said] == ["version 3 cannot be loaded"]
    events = journal.events(stage.target.store)
    assert [event["event"] for event in events] == ["not_loadable", "took_over"]
    assert [event["version"] for event in events] == [3, 2]


def test_one_refusal_is_not_enough(stage: Stage) -> None:
    """TorchServe may refuse for the machine's sake: another version takes over after the second time in a row."""
    stage.refuse(3)
    assert (stage.reconcile(), stage.record.version) == (ReconcileResult.FAILED, 3)
    assert (stage.reconcile(), stage.record.version) == (
        ReconcileResult.FAILED,
        3,
    )  # It waits a second before it tries again.
    assert (stage.reconcile(after=1), stage.record.version) == (ReconcileResult.TOOK_OVER, 2)


def test_a_refusal_that_passes_changes_nothing(stage: Stage) -> None:
    """A version that is loaded at the second try stays live, and the next refusal counts as the first."""
    for _ in range(2):
        stage.restart_server()
        stage.refuse(3)
        assert stage.reconcile() is ReconcileResult.FAILED
        stage.torchserve.broken.clear()
        assert stage.reconcile(after=1) is ReconcileResult.LOADED
    assert (stage.record.version, stage.alerts) == (3, [])


def test_a_version_that_does_not_prove_is_replaced(stage: Stage) -> None:
    """What scores its golden rows otherwise is deleted again, and after the second time another takes over."""
    stage.falsify(3)
    assert stage.reconcile() is ReconcileResult.FAILED
    assert 3 not in stage.torchserve.registered
    assert (stage.reconcile(after=1), stage.record.version) == (ReconcileResult.TOOK_OVER, 2)


def test_a_version_with_ready_workers_goes_on_whatever_its_file_looks_like(stage: Stage) -> None:
    """An archive that is damaged on the disk harms nobody while its version scores."""
    stage.reconcile()
    stage.damage(3)
    assert stage.reconcile(after=40) is ReconcileResult.HEALTHY
    stage.torchserve.registered[3] = ["READY", "UNLOADED"]
    assert stage.reconcile(after=40) is ReconcileResult.HEALTHY
    assert (stage.record.version, stage.alerts) == (3, [])


def test_nothing_takes_over_while_a_release_holds_the_lock(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody is mending it already: the record is theirs."""
    monkeypatch.setattr(release_module, "RELEASE_LOCK_TIMEOUT", 0.0)
    stage.damage(3)
    with durable.locked(stage.target.store / ".release.lock", ""):
        assert stage.reconcile() is ReconcileResult.RELEASING
    assert (stage.record.version, stage.torchserve.files) == (3, [])


def test_a_server_that_is_down_is_no_reason(stage: Stage) -> None:
    """When TorchServe does not answer, no archive is at fault."""
    stage.damage(3)
    stage.torchserve.down = True
    assert set(stage.until_quiet()) == {ReconcileResult.SERVER_DOWN}
    assert stage.record.version == 3


def test_what_a_person_released_meanwhile_stays(stage: Stage) -> None:
    """A take-over is of the record that was seen: a release that ended before it got the lock wins."""
    before = stage.record
    release(stage.target, 4, quiet)
    with pytest.raises(OperationsError, match="not live any more"):
        take_over(stage.target, 2, quiet, before)
    assert stage.record.version == 4


def test_nothing_takes_over_from_a_version_that_scores(stage: Stage) -> None:
    """Whoever asks for it: a live version with a ready worker stays live."""
    stage.reconcile()
    with pytest.raises(OperationsError, match="version 3 scores"):
        take_over(stage.target, 2, quiet)
    assert stage.record.version == 3


def test_a_taken_over_version_stays_until_a_person_releases(stage: Stage) -> None:
    """When the former archive is put back it is loaded, to go back to, and not made live by itself."""
    whole = (stage.target.store / "fraud-3.mar").read_bytes()
    stage.damage(3)
    stage.reconcile()
    (stage.target.store / "fraud-3.mar").write_bytes(whole)
    stage.until_quiet()
    assert stage.torchserve.registered.keys() == {2, 3}
    assert (stage.record.version, stage.record.previous) == (2, 3)


def test_a_trial_ends_when_another_takes_over(stage: Stage) -> None:
    """What was tried beside one live version says nothing beside another."""
    stage.write(3, previous=2, trial=canary(4))
    stage.damage(3)
    stage.reconcile()
    assert (stage.record.version, stage.record.trial) == (2, None)


def test_no_good_version_changes_nothing(stage: Stage) -> None:
    """Where none can be loaded the record stays, one alert says what to do, and the live one is tried on."""
    before = stage.record
    stage.damage(1, 2, 3)
    stage.refuse(4)
    assert set(stage.until_quiet()) == {ReconcileResult.FAILED}
    assert (stage.record, stage.alerts) == (before, [NO_CANDIDATE])
    assert stage.torchserve.registered == {}


def test_a_failed_version_is_skipped_for_a_while(stage: Stage) -> None:
    """A version that could not take over is not loaded again at each look, and is told of once."""
    stage.damage(3)
    stage.refuse(1, 2, 4)
    for _ in range(7):
        stage.reconcile(after=1)
    assert stage.torchserve.files.count("fraud-2.verified.mar") == 3  # At 0, 1 and 4 seconds.
    assert len([text for text in stage.said if text.startswith("version 2 cannot take over")]) == 1


def test_a_machine_that_fails_is_no_reason(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the record cannot be written nothing takes over, no base model is trained, and nothing is raised."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    log: list[str] = []
    stage = Stage(stage.target, stage.torchserve, trains(stage, log))
    stage.damage(3)
    with monkeypatch.context() as disk:
        disk.setattr(durable, "write", full)
        assert set(stage.until_quiet()) == {ReconcileResult.FAILED}
    assert (stage.record.version, log) == (3, [])
    assert any("No space left" in text for text in stage.said)
    assert stage.reconcile(after=40) is ReconcileResult.TOOK_OVER


def test_other_columns_are_passed_over(stage: Stage) -> None:
    """A version with other columns would refuse every caller: an older one with the same takes over."""
    stage.change_entry(2, inputs=OTHER)
    stage.damage(3)
    stage.reconcile()
    assert stage.record.version == 1


def test_other_columns_do_not_take_over_by_themselves(stage: Stage) -> None:
    """Where only versions with other columns are left, callers get the honest 503."""
    for version in (1, 2, 4):
        stage.change_entry(version, inputs=OTHER)
    stage.damage(3)
    stage.until_quiet()
    assert (stage.record.version, stage.alerts) == (3, [NO_CANDIDATE])


def test_other_columns_take_over_before_a_base_model(stage: Stage) -> None:
    """With BASE_MODEL=true a trained version with other columns is better than a model of simulated payments."""
    for version in (1, 2, 4):
        stage.change_entry(version, inputs=OTHER)
    stage.damage(3)
    with_base = Stage(stage.target, stage.torchserve, lambda: pytest.fail("it was trained"))
    assert with_base.reconcile() is ReconcileResult.TOOK_OVER
    assert stage.record.version == 2


def test_the_base_model_is_the_last_resort(stage: Stage) -> None:
    """With BASE_MODEL=true and no good version, a base model is trained and serves; it is told and journalled."""
    log: list[str] = []
    with_base = Stage(stage.target, stage.torchserve, trains(stage, log))
    stage.damage(1, 2, 3, 4)
    assert with_base.reconcile() is ReconcileResult.TOOK_OVER
    assert (stage.record.version, stage.record.instead_of, log) == (5, 3, ["trained"])
    assert [event["event"] for event in journal.events(stage.target.store)][-2:] == ["base_model", "took_over"]
    assert with_base.alerts[0].startswith("no version of the model store can be loaded: training")


def test_the_base_model_is_trained_once(stage: Stage) -> None:
    """A base model that cannot be loaded either is no reason to fill the store with more of them."""
    log: list[str] = []
    with_base = Stage(stage.target, stage.torchserve, trains(stage, log))
    stage.refuse(1, 2, 3, 4, 5)
    assert set(with_base.until_quiet()) == {ReconcileResult.FAILED}
    assert (log, stage.record.version) == (["trained"], 3)
    stage.torchserve.broken = {1, 2, 3, 4}
    assert with_base.reconcile(after=40) is ReconcileResult.TOOK_OVER
    assert (log, stage.record.version) == (["trained"], 5)


def test_a_training_that_fails_is_tried_again_later(stage: Stage) -> None:
    """It is told, and not repeated at each look."""
    tries: list[int] = []

    def fail() -> int:
        tries.append(1)
        raise OperationsError("no memory")

    with_base = Stage(stage.target, stage.torchserve, fail)
    stage.damage(1, 2, 3, 4)
    assert [with_base.reconcile(), with_base.reconcile(), with_base.reconcile(after=1)] == [ReconcileResult.FAILED] * 3
    assert (len(tries), stage.record.version) == (2, 3)


def test_what_was_released_during_the_training_stays(stage: Stage) -> None:
    """The base model does not take over from a version that a person released meanwhile."""

    def train() -> int:
        add(stage.target.registry, stage.target.store.parent, 5)
        add(stage.target.registry, stage.target.store.parent, 6)
        release(stage.target, 6, quiet)
        return 5

    with_base = Stage(stage.target, stage.torchserve, train)
    stage.damage(1, 2, 3, 4)
    with_base.reconcile()
    assert stage.record.version == 6
    assert with_base.reconcile() is ReconcileResult.HEALTHY


def test_versions_that_fail_one_after_the_other_are_all_replaced(stage: Stage) -> None:
    """A version that took over may fail in its turn; what was first released is still named."""
    stage.damage(3)
    stage.reconcile()
    stage.damage(2)
    stage.restart_server()
    assert stage.reconcile() is ReconcileResult.TOOK_OVER
    assert (stage.record.version, stage.record.instead_of) == (1, 3)


def test_unknown_columns_count_as_the_same(stage: Stage) -> None:
    """An entry of an earlier release of this software names no columns, and its version may take over."""
    stage.change_entry(2, inputs=[])
    stage.damage(3)
    stage.reconcile()
    assert stage.record.version == 2


ENTRY = Entry(1, "fraud-1.mar", "", 0, "", {}, "", {}, "")
entries = st.dictionaries(st.integers(1, 9), st.sampled_from([(), ("a", "b"), ("b", "a"), ("c",)]), min_size=1).map(
    lambda found: [replace(ENTRY, version=version, inputs=inputs) for version, inputs in sorted(found.items())]
)


@given(entries=entries, live=st.integers(1, 9), trial=st.integers(1, 9), other_columns=st.booleans())
def test_the_order_of_candidates(*, entries: list[Entry], live: int, trial: int, other_columns: bool) -> None:
    """Same columns first, then older before newer before the one on trial, and in each of these the newest first."""
    record = Release(live, None, "", canary(trial) if trial != live else None)
    inputs = {entry.version: set(entry.inputs) for entry in entries}
    ours = inputs.get(live) or set()
    fits = {version: not ours or not theirs or ours == theirs for version, theirs in inputs.items()}
    order = candidates(record, entries, other_columns=other_columns)
    assert sorted(order) == [v for v in inputs if v != live and (fits[v] or other_columns)]
    for first, second in pairwise(order):
        kinds = [(not fits[v], record.trial is not None and v == trial, v > live) for v in (first, second)]
        assert kinds[0] < kinds[1] or (kinds[0] == kinds[1] and first > second)


@settings(max_examples=25, deadline=None)
@given(
    live=st.integers(1, 4),
    damaged=st.sets(st.integers(1, 4)),
    refused=st.sets(st.integers(1, 4)),
    false=st.sets(st.integers(1, 4)),
)
def test_the_best_good_version_serves_or_nothing_changes(
    live: int, damaged: set[int], refused: set[int], false: set[int]
) -> None:
    """Whatever is wrong with which versions: the live one if it is good, else the first good one in order, if any."""
    with store() as stage:
        stage.write(live)
        stage.damage(*damaged)
        stage.refuse(*refused)
        stage.falsify(*false)
        stage.until_quiet()
        older, newer = range(live - 1, 0, -1), range(4, live, -1)
        good = [version for version in (live, *older, *newer) if version not in damaged | refused | false]
        assert stage.record.version == (good[0] if good else live)
        scoring = {version for version, states in stage.torchserve.registered.items() if "READY" in states}
        assert scoring == set(good[:1])


def test_a_version_that_ends_the_server_does_not_block_the_others(stage: Stage) -> None:
    """A candidate under which TorchServe goes down is skipped ever longer, so that another gets its turn."""
    stage.damage(3)
    stage.torchserve.deadly = {2}
    for _ in range(3):
        stage.reconcile(after=2)
        stage.torchserve.down = False
    assert stage.record.version == 1
