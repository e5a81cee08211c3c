"""What the options of `fraud release` and `fraud rollback` lead to."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from operations.errors import OperationsError
from operations.rollout import deployment, release_commands
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.gateway_status import GatewayStatus
from operations.rollout.release_commands import ReleaseOptions, release, rollback, status
from operations.settings import StatePaths
from operations.store.release_record import read_record
from releases.record import TrialKind

NOTHING = ReleaseOptions(what=None, canary=None, on=None, shadow=False, promote=False, abort=False, accept_shift=False)


def release_options(**options: object) -> ReleaseOptions:
    """Options, all others left out."""
    fields = {name: getattr(NOTHING, name) for name in ReleaseOptions.__slots__}
    return ReleaseOptions(**(fields | options))


@pytest.fixture
def redis_target(target: DeploymentTarget) -> DeploymentTarget:
    """A model server that runs, and a Redis that nobody needs to ask."""
    return replace(target, redis_url="redis://127.0.0.1:1")


def run_release(redis_target: DeploymentTarget, **options: object) -> str:
    """Runs `fraud release`; what it said."""
    messages: list[str] = []
    release(redis_target, release_options(**options), messages.append)
    return "\n".join(messages)


def test_without_a_number_the_newest_is_released(redis_target: DeploymentTarget) -> None:
    """The last training's version goes live, and each step is said."""
    messages = run_release(redis_target).splitlines()
    assert messages == [
        "version 2: verifying its archive",
        "version 2: starting 2 workers",
        "version 2: scoring its golden rows",
        "writing the release record",
        "Version 2 is live.",
    ]


def test_a_canary_is_begun_and_promoted(redis_target: DeploymentTarget) -> None:
    """`--canary 5%`, then `--promote`: the version on trial is live, and the one before it is named."""
    run_release(redis_target, what="1")
    assert "Version 2 answers for 5.0% of all cards; version 1 is live." in run_release(
        redis_target, what="2", canary="5%"
    )
    assert "Version 2 is live; before it: version 1." in run_release(redis_target, promote=True)


def test_a_shadow_is_begun_and_aborted(redis_target: DeploymentTarget) -> None:
    """`--shadow`, then `--abort`: the live version stays."""
    run_release(redis_target, what="1")
    run_release(redis_target, what="2", shadow=True)
    record = read_record(redis_target.store)
    assert record
    assert record.trial
    assert (record.trial.kind, record.trial.share) == (TrialKind.SHADOW, 1.0)
    assert "The trial is over. Version 1 is live." in run_release(redis_target, abort=True)


def test_a_rollback_says_what_is_live(redis_target: DeploymentTarget) -> None:
    """The version before is live again."""
    run_release(redis_target, what="1")
    run_release(redis_target, what="2")
    messages: list[str] = []
    rollback(redis_target, messages.append)
    assert messages[-1] == "Version 1 is live; before it: version 2."


@pytest.mark.parametrize("act", ["promote", "abort"])
def test_there_must_be_a_trial_to_end(redis_target: DeploymentTarget, act: str) -> None:
    """Promoting or aborting nothing is told."""
    run_release(redis_target, what="1")
    with pytest.raises(OperationsError, match="no version is on trial"):
        run_release(redis_target, **{act: True})


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
        release_options(**options)


@pytest.mark.parametrize("share", ["5", ""])
def test_a_share_is_checked_before_anything_is_done(redis_target: DeploymentTarget, share: str) -> None:
    """A share that is none, as of a variable that is not set, starts no worker and releases nothing."""
    run_release(redis_target, what="1")
    with pytest.raises(OperationsError, match="no share"):
        run_release(redis_target, what="2", canary=share)
    assert 2 not in redis_target.server.registered()


def test_the_status_needs_no_running_stack(tmp_path: Path) -> None:
    """Where nothing runs, the record tells what will."""
    assert "nothing is released yet" in str(status(StatePaths(tmp_path, tmp_path / "model_store"), {}))


@pytest.fixture
def gateways(monkeypatch: pytest.MonkeyPatch) -> dict[str, GatewayStatus]:
    """How gateways stand, as a test sets it; none of them is asked."""
    found: dict[str, GatewayStatus] = {}
    monkeypatch.setattr(release_commands, "gateway_statuses", lambda _: found)
    monkeypatch.setattr(
        release_commands, "gateways_behind", lambda _, live: [at for at in found if found[at].version != live]
    )
    monkeypatch.setattr(deployment, "find_target", lambda *_: pytest.fail("a test sets what runs"))
    return found


def shown(redis_target: DeploymentTarget, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `fraud release status` prints beside gateways."""
    beside = replace(redis_target, gateway_url="http://gateway:8000", redis_url=None)
    monkeypatch.setattr(deployment, "find_target", lambda *_: beside)
    console = Console(file=io.StringIO(), width=200)
    console.print(status(StatePaths(redis_target.store.parent, redis_target.store), {}))
    return str(console.file.getvalue())  # type: ignore[attr-defined] # it is the one given


def test_gateways_that_do_not_follow_are_named(
    redis_target: DeploymentTarget, gateways: dict[str, GatewayStatus]
) -> None:
    """The release is done; each gateway that is late is said with its address."""
    gateways |= {"http://10.0.0.1:8000": GatewayStatus(1), "http://10.0.0.2:8000": GatewayStatus(None)}
    messages = run_release(replace(redis_target, gateway_url="http://gateway:8000"), what="1").splitlines()
    late = "The gateway does not serve it yet; http://10.0.0.2:8000/health says what it serves."
    assert messages[-2:] == ["Version 1 is live.", late]


def test_the_status_names_gateways_that_serve_another_version(
    redis_target: DeploymentTarget, gateways: dict[str, GatewayStatus], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several gateways it says how many serve the live version, and which do not."""
    run_release(redis_target, what="1")
    gateways |= {"http://10.0.0.1:8000": GatewayStatus(1), "http://10.0.0.2:8000": GatewayStatus(2)}
    gateways["http://10.0.0.3:8000"] = GatewayStatus()
    messages = shown(redis_target, monkeypatch)
    assert "1 of 3 gateways serve version 1." in messages
    assert "http://10.0.0.2:8000 serves version 2." in messages
    assert "http://10.0.0.3:8000 serves none, or does not answer." in messages
    assert "10.0.0.1" not in messages


def test_the_status_says_where_a_trial_is_paused(
    redis_target: DeploymentTarget, gateways: dict[str, GatewayStatus], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One gateway's reason stands alone; of several, each with its address."""
    run_release(redis_target, what="1")
    run_release(redis_target, what="2", canary="5%")
    gateways["http://10.0.0.1:8000"] = GatewayStatus(1, "not_adopted")
    assert "The gateway sends it nothing now: not_adopted." in shown(redis_target, monkeypatch)
    gateways["http://10.0.0.2:8000"] = GatewayStatus(1)
    assert "not_adopted at http://10.0.0.1:8000." in shown(redis_target, monkeypatch)
