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
from tests.operations.reconciler_scenario import ReconcilerScenario, canary

OTHER = ["claim", "kilograms"]


def ignore(_: str) -> None:
    """Hears nothing."""


@contextmanager
def store(versions: int = 4) -> Iterator[ReconcilerScenario]:
    """A store with so many versions beside a TorchServe that has just started; nothing is live."""
    with tempfile.TemporaryDirectory() as directory:
        verified = Path(directory) / "verified"
        registry, torchserve = Registry(Path(directory) / "model_store"), FakeTorchServe(verified)
        for version in range(1, versions + 1):
            add(registry, Path(directory), version)
        yield ReconcilerScenario(DeploymentTarget(registry, verified, torchserve.server(), 2), torchserve)


@pytest.fixture
def scenario() -> Iterator[ReconcilerScenario]:
    """Versions 1 to 4, of which 3 is live and 2 was before; TorchServe has just started."""
    with store() as scenario:
        scenario.write(3, previous=2)
        yield scenario


def trains(scenario: ReconcilerScenario, log: list[str]) -> Callable[[], int]:
    """A training that adds the next version."""

    def train() -> int:
        log.append("trained")
        version = scenario.target.registry.next_version()
        add(scenario.target.registry, scenario.target.store.parent, version)
        return version

    return train


@pytest.mark.parametrize("spoil", ["archive", "entry", "no archive", "no entry"])
def test_another_takes_over_at_once_when_the_archive_is_unsound(scenario: ReconcilerScenario, spoil: str) -> None:
    """What does not verify will not verify by trying: the next best version is live after one look."""
    name = "fraud-3.mar" if "archive" in spoil else "fraud-3.json"
    path = scenario.target.store / name
    path.unlink() if spoil.startswith("no") else path.write_bytes(b"{")
    assert scenario.reconcile() is ReconcileResult.TOOK_OVER
    assert (scenario.record.version, scenario.record.previous, scenario.record.instead_of) == (2, 3, 3)
    assert scenario.torchserve.registered == {2: ["READY", "READY"]}


def test_people_are_told_of_it(scenario: ReconcilerScenario) -> None:
    """One alert says who took over from whom and why, the output why first, and the journal keeps both."""
    scenario.damage(3)
    scenario.reconcile()
    scenario.reconcile_until_idle()
    assert [text.partition(" (")[0] for text in scenario.alerts] == [
        "version 2 took over: version 3, which is live, cannot be loaded"
    ]
    assert "SHA-256" in scenario.alerts[0]
    assert [text.partition(":")[0] for text in scenario.messages] == ["version 3 cannot be loaded"]
    events = journal.events(scenario.target.store)
    assert [event["event"] for event in events] == ["not_loadable", "took_over"]
    assert [event["version"] for event in events] == [3, 2]


def test_one_refusal_is_not_enough(scenario: ReconcilerScenario) -> None:
    """TorchServe may refuse for the machine's sake: another version takes over after the second time in a row."""
    scenario.refuse(3)
    assert (scenario.reconcile(), scenario.record.version) == (ReconcileResult.FAILED, 3)
    assert (scenario.reconcile(), scenario.record.version) == (
        ReconcileResult.FAILED,
        3,
    )  # It waits a second before it tries again.
    assert (scenario.reconcile(after=1), scenario.record.version) == (ReconcileResult.TOOK_OVER, 2)


def test_a_refusal_that_passes_changes_nothing(scenario: ReconcilerScenario) -> None:
    """A version that is loaded at the second try stays live, and the next refusal counts as the first."""
    for _ in range(2):
        scenario.restart_server()
        scenario.refuse(3)
        assert scenario.reconcile() is ReconcileResult.FAILED
        scenario.torchserve.broken.clear()
        assert scenario.reconcile(after=1) is ReconcileResult.LOADED
    assert (scenario.record.version, scenario.alerts) == (3, [])


def test_a_version_that_does_not_prove_is_replaced(scenario: ReconcilerScenario) -> None:
    """What scores its golden rows otherwise is deleted again, and after the second time another takes over."""
    scenario.make_unproven(3)
    assert scenario.reconcile() is ReconcileResult.FAILED
    assert 3 not in scenario.torchserve.registered
    assert (scenario.reconcile(after=1), scenario.record.version) == (ReconcileResult.TOOK_OVER, 2)


def test_a_version_with_ready_workers_goes_on_whatever_its_file_looks_like(scenario: ReconcilerScenario) -> None:
    """An archive that is damaged on the disk harms nobody while its version scores."""
    scenario.reconcile()
    scenario.damage(3)
    assert scenario.reconcile(after=40) is ReconcileResult.HEALTHY
    scenario.torchserve.registered[3] = ["READY", "UNLOADED"]
    assert scenario.reconcile(after=40) is ReconcileResult.HEALTHY
    assert (scenario.record.version, scenario.alerts) == (3, [])


def test_nothing_takes_over_while_a_release_holds_the_lock(
    scenario: ReconcilerScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody is mending it already: the record is theirs."""
    monkeypatch.setattr(release_module, "RELEASE_LOCK_TIMEOUT", 0.0)
    scenario.damage(3)
    with durable.locked(scenario.target.store / ".release.lock", ""):
        assert scenario.reconcile() is ReconcileResult.RELEASING
    assert (scenario.record.version, scenario.torchserve.files) == (3, [])


def test_a_server_that_is_down_is_no_reason(scenario: ReconcilerScenario) -> None:
    """When TorchServe does not answer, no archive is at fault."""
    scenario.damage(3)
    scenario.torchserve.down = True
    assert set(scenario.reconcile_until_idle()) == {ReconcileResult.SERVER_DOWN}
    assert scenario.record.version == 3


def test_what_a_person_released_meanwhile_stays(scenario: ReconcilerScenario) -> None:
    """A take-over is of the record that was seen: a release that ended before it got the lock wins."""
    before = scenario.record
    release(scenario.target, 4, ignore)
    with pytest.raises(OperationsError, match="not live any more"):
        take_over(scenario.target, 2, ignore, before)
    assert scenario.record.version == 4


def test_nothing_takes_over_from_a_version_that_scores(scenario: ReconcilerScenario) -> None:
    """Whoever asks for it: a live version with a ready worker stays live."""
    scenario.reconcile()
    with pytest.raises(OperationsError, match="version 3 scores"):
        take_over(scenario.target, 2, ignore)
    assert scenario.record.version == 3


def test_a_taken_over_version_stays_until_a_person_releases(scenario: ReconcilerScenario) -> None:
    """When the former archive is put back it is loaded, to go back to, and not made live by itself."""
    whole = (scenario.target.store / "fraud-3.mar").read_bytes()
    scenario.damage(3)
    scenario.reconcile()
    (scenario.target.store / "fraud-3.mar").write_bytes(whole)
    scenario.reconcile_until_idle()
    assert scenario.torchserve.registered.keys() == {2, 3}
    assert (scenario.record.version, scenario.record.previous) == (2, 3)


def test_a_trial_ends_when_another_takes_over(scenario: ReconcilerScenario) -> None:
    """What was tried beside one live version says nothing beside another."""
    scenario.write(3, previous=2, trial=canary(4))
    scenario.damage(3)
    scenario.reconcile()
    assert (scenario.record.version, scenario.record.trial) == (2, None)


def test_no_good_version_changes_nothing(scenario: ReconcilerScenario) -> None:
    """Where none can be loaded the record stays, one alert says what to do, and the live one is tried on."""
    before = scenario.record
    scenario.damage(1, 2, 3)
    scenario.refuse(4)
    assert set(scenario.reconcile_until_idle()) == {ReconcileResult.FAILED}
    assert (scenario.record, scenario.alerts) == (before, [NO_CANDIDATE])
    assert scenario.torchserve.registered == {}


def test_a_failed_version_is_skipped_for_a_while(scenario: ReconcilerScenario) -> None:
    """A version that could not take over is not loaded again at each look, and is told of once."""
    scenario.damage(3)
    scenario.refuse(1, 2, 4)
    for _ in range(7):
        scenario.reconcile(after=1)
    assert scenario.torchserve.files.count("fraud-2.verified.mar") == 3  # At 0, 1 and 4 seconds.
    assert len([text for text in scenario.messages if text.startswith("version 2 cannot take over")]) == 1


def test_a_machine_that_fails_is_no_reason(scenario: ReconcilerScenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the record cannot be written nothing takes over, no base model is trained, and nothing is raised."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    log: list[str] = []
    scenario = ReconcilerScenario(scenario.target, scenario.torchserve, trains(scenario, log))
    scenario.damage(3)
    with monkeypatch.context() as disk:
        disk.setattr(durable, "write", full)
        assert set(scenario.reconcile_until_idle()) == {ReconcileResult.FAILED}
    assert (scenario.record.version, log) == (3, [])
    assert any("No space left" in text for text in scenario.messages)
    assert scenario.reconcile(after=40) is ReconcileResult.TOOK_OVER


def test_other_columns_are_passed_over(scenario: ReconcilerScenario) -> None:
    """A version with other columns would refuse every caller: an older one with the same takes over."""
    scenario.change_entry(2, inputs=OTHER)
    scenario.damage(3)
    scenario.reconcile()
    assert scenario.record.version == 1


def test_other_columns_do_not_take_over_by_themselves(scenario: ReconcilerScenario) -> None:
    """Where only versions with other columns are left, callers get the honest 503."""
    for version in (1, 2, 4):
        scenario.change_entry(version, inputs=OTHER)
    scenario.damage(3)
    scenario.reconcile_until_idle()
    assert (scenario.record.version, scenario.alerts) == (3, [NO_CANDIDATE])


def test_other_columns_take_over_before_a_base_model(scenario: ReconcilerScenario) -> None:
    """With BASE_MODEL=true a trained version with other columns is better than a model of simulated payments."""
    for version in (1, 2, 4):
        scenario.change_entry(version, inputs=OTHER)
    scenario.damage(3)
    with_base = ReconcilerScenario(scenario.target, scenario.torchserve, lambda: pytest.fail("it was trained"))
    assert with_base.reconcile() is ReconcileResult.TOOK_OVER
    assert scenario.record.version == 2


def test_the_base_model_is_the_last_resort(scenario: ReconcilerScenario) -> None:
    """With BASE_MODEL=true and no good version, a base model is trained and serves; it is told and journalled."""
    log: list[str] = []
    with_base = ReconcilerScenario(scenario.target, scenario.torchserve, trains(scenario, log))
    scenario.damage(1, 2, 3, 4)
    assert with_base.reconcile() is ReconcileResult.TOOK_OVER
    assert (scenario.record.version, scenario.record.instead_of, log) == (5, 3, ["trained"])
    assert [event["event"] for event in journal.events(scenario.target.store)][-2:] == ["base_model", "took_over"]
    assert with_base.alerts[0].startswith("no version of the model store can be loaded: training")


def test_the_base_model_is_trained_once(scenario: ReconcilerScenario) -> None:
    """A base model that cannot be loaded either is no reason to fill the store with more of them."""
    log: list[str] = []
    with_base = ReconcilerScenario(scenario.target, scenario.torchserve, trains(scenario, log))
    scenario.refuse(1, 2, 3, 4, 5)
    assert set(with_base.reconcile_until_idle()) == {ReconcileResult.FAILED}
    assert (log, scenario.record.version) == (["trained"], 3)
    scenario.torchserve.broken = {1, 2, 3, 4}
    assert with_base.reconcile(after=40) is ReconcileResult.TOOK_OVER
    assert (log, scenario.record.version) == (["trained"], 5)


def test_a_training_that_fails_is_tried_again_later(scenario: ReconcilerScenario) -> None:
    """It is told, and not repeated at each look."""
    tries: list[int] = []

    def fail() -> int:
        tries.append(1)
        raise OperationsError("no memory")

    with_base = ReconcilerScenario(scenario.target, scenario.torchserve, fail)
    scenario.damage(1, 2, 3, 4)
    assert [with_base.reconcile(), with_base.reconcile(), with_base.reconcile(after=1)] == [ReconcileResult.FAILED] * 3
    assert (len(tries), scenario.record.version) == (2, 3)


def test_what_was_released_during_the_training_stays(scenario: ReconcilerScenario) -> None:
    """The base model does not take over from a version that a person released meanwhile."""

    def train() -> int:
        add(scenario.target.registry, scenario.target.store.parent, 5)
        add(scenario.target.registry, scenario.target.store.parent, 6)
        release(scenario.target, 6, ignore)
        return 5

    with_base = ReconcilerScenario(scenario.target, scenario.torchserve, train)
    scenario.damage(1, 2, 3, 4)
    with_base.reconcile()
    assert scenario.record.version == 6
    assert with_base.reconcile() is ReconcileResult.HEALTHY


def test_versions_that_fail_one_after_the_other_are_all_replaced(scenario: ReconcilerScenario) -> None:
    """A version that took over may fail in its turn; what was first released is still named."""
    scenario.damage(3)
    scenario.reconcile()
    scenario.damage(2)
    scenario.restart_server()
    assert scenario.reconcile() is ReconcileResult.TOOK_OVER
    assert (scenario.record.version, scenario.record.instead_of) == (1, 3)


def test_unknown_columns_count_as_the_same(scenario: ReconcilerScenario) -> None:
    """An entry of an earlier release of this software names no columns, and its version may take over."""
    scenario.change_entry(2, inputs=[])
    scenario.damage(3)
    scenario.reconcile()
    assert scenario.record.version == 2


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
    with store() as scenario:
        scenario.write(live)
        scenario.damage(*damaged)
        scenario.refuse(*refused)
        scenario.make_unproven(*false)
        scenario.reconcile_until_idle()
        older, newer = range(live - 1, 0, -1), range(4, live, -1)
        good = [version for version in (live, *older, *newer) if version not in damaged | refused | false]
        assert scenario.record.version == (good[0] if good else live)
        scoring = {version for version, states in scenario.torchserve.registered.items() if "READY" in states}
        assert scoring == set(good[:1])


def test_a_version_that_ends_the_server_does_not_block_the_others(scenario: ReconcilerScenario) -> None:
    """A candidate under which TorchServe goes down is skipped ever longer, so that another gets its turn."""
    scenario.damage(3)
    scenario.torchserve.deadly = {2}
    for _ in range(3):
        scenario.reconcile(after=2)
        scenario.torchserve.down = False
    assert scenario.record.version == 1
