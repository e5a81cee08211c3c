"""What the options of `fraud release` and `fraud rollback` lead to."""

from pathlib import Path

import pytest

from contract.release import TrialKind
from operations.errors import OperationsError
from operations.rollout.connection import Running
from operations.rollout.loading import Place
from operations.rollout.release_commands import Wish, release, rollback, status
from operations.settings import Layout
from operations.store.record import recorded

NOTHING = Wish(what=None, canary=None, on=None, shadow=False, promote=False, abort=False, accept_shift=False)


def wish(**options: object) -> Wish:
    """Options, all others left out."""
    fields = {name: getattr(NOTHING, name) for name in Wish.__slots__}
    return Wish(**(fields | options))


@pytest.fixture
def running(place: Place) -> Running:
    """A model server that runs, and a Redis that nobody needs to ask."""
    return Running(place.server, place.workers, place.registry.root, None, "redis://127.0.0.1:1")


def did(running: Running, **options: object) -> str:
    """Runs `fraud release`; what it said."""
    said: list[str] = []
    release(running, wish(**options), said.append)
    return "\n".join(said)


def test_without_a_number_the_newest_is_released(running: Running) -> None:
    """The last training's version goes live, and each step is said."""
    said = did(running).splitlines()
    assert said == [
        "version 2: verifying its archive",
        "version 2: starting 2 workers",
        "version 2: scoring its golden rows",
        "writing the release record",
        "Version 2 is live.",
    ]


def test_a_canary_is_begun_and_promoted(running: Running) -> None:
    """`--canary 5%`, then `--promote`: the version on trial is live, and the one before it is named."""
    did(running, what="1")
    assert "Version 2 answers for 5.0% of all cards; version 1 is live." in did(running, what="2", canary="5%")
    assert "Version 2 is live; before it: version 1." in did(running, promote=True)


def test_a_shadow_is_begun_and_aborted(running: Running) -> None:
    """`--shadow`, then `--abort`: the live version stays."""
    did(running, what="1")
    did(running, what="2", shadow=True)
    record = recorded(running.store)
    assert record
    assert record.trial
    assert (record.trial.kind, record.trial.share) == (TrialKind.SHADOW, 1.0)
    assert "The trial is over. Version 1 is live." in did(running, abort=True)


def test_a_rollback_says_what_is_live(running: Running) -> None:
    """The version before is live again."""
    did(running, what="1")
    did(running, what="2")
    said: list[str] = []
    rollback(running, said.append)
    assert said[-1] == "Version 1 is live; before it: version 2."


@pytest.mark.parametrize("act", ["promote", "abort"])
def test_there_must_be_a_trial_to_end(running: Running, act: str) -> None:
    """Promoting or aborting nothing is told."""
    did(running, what="1")
    with pytest.raises(OperationsError, match="no version is on trial"):
        did(running, **{act: True})


@pytest.mark.parametrize(
    "options",
    [
        {"canary": "5%", "shadow": True},
        {"promote": True, "abort": True},
        {"what": "2", "promote": True},
        {"what": "latest"},
        {"what": "-1"},
        {"what": "0"},
        {"what": "007"},
        {"what": "2\u0662"},
        {"what": "9" * 10},
        {"what": "status", "canary": "5%"},
        {"canary": "5%", "on": Path("x.csv")},
        {"shadow": True, "accept_shift": True},
        {"what": "status", "on": Path("x.csv")},
    ],
)
def test_options_that_exclude_each_other_are_refused(options: dict[str, object]) -> None:
    """What cannot be meant is told before anything is done."""
    with pytest.raises(OperationsError):
        wish(**options)


@pytest.mark.parametrize("share", ["5", ""])
def test_a_share_is_checked_before_anything_is_done(running: Running, share: str) -> None:
    """A share that is none, as of a variable that is not set, starts no worker and releases nothing."""
    did(running, what="1")
    with pytest.raises(OperationsError, match="no share"):
        did(running, what="2", canary=share)
    assert 2 not in running.server.registered()


def test_the_status_needs_no_running_stack(tmp_path: Path) -> None:
    """Where nothing runs, the record tells what will."""
    assert "nothing is released yet" in str(status(Layout(tmp_path, tmp_path / "model_store"), {}))
