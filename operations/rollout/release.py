"""Makes a version the live one, or puts it on trial beside it. The release record is written here and nowhere else.

verify -> register -> all workers ready -> golden probe on the explicit version -> gate against the live version ->
record. Everything before the record can be undone, and is: a registration that this release made is deleted again when
anything fails. The record is replaced in one step, so at every moment one known version is live. The version before it
stays registered, warm; what no record wants is forgotten by the reconciler once no request can be on it any more.
Whoever loads a version, the reconciler too, holds the store's release lock.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from operations.errors import OperationsError
from operations.files import durable
from operations.rollout import shift_gate, trial_counts
from operations.rollout.all_servers import loaded_on_all
from operations.rollout.deployment import DeploymentTarget, Say, release_lock
from operations.rollout.trial_counts import RedisUnavailable
from operations.store import journal
from operations.store.paired_scoring import SamplePair
from operations.store.release_record import read_record
from releases.record import Release, Trial, TrialKind

Compare = Callable[[DeploymentTarget, Release, int, Say], None]
RELEASE_LOCK_TIMEOUT = 30.0
"""Seconds that a release waits for another, or for the reconciler, to end: on a busy machine a load took over 10."""


class RecordChanged(durable.LockHeld):
    """Another release was first; what this one was to change is not there any more."""


def release(
    target: DeploymentTarget, version: int, say: Say, *, accept_shift: bool = False, on: bytes | None = None
) -> Release:
    """Makes a version live, or changes nothing.

    With `accept_shift` even if it flags other transactions than the live version. `on` is a CSV file of recent
    transactions to compare the two on, instead of what a trial has counted or the reference samples.

    Raises:
        LockHeld: another release runs, or the reconciler loads a version.
        ShiftTooLarge: it would flag other transactions than the live version does.
        OperationsError: it could not be made live; says why, and everything is as before.
    """
    with _locked_record(target) as before:
        _refuse_other_trial(before, version)
        return _release_after_gate(target, before, version, say, None if accept_shift else partial(_compare, on))


def promote(target: DeploymentTarget, say: Say, *, accept_shift: bool = False, on: bytes | None = None) -> Release:
    """Makes the version on trial live, as :func:`release` does.

    Raises:
        OperationsError: there is no trial, or its version could not be made live; everything is as before.
    """
    with _locked_record(target) as before:
        if before is None or before.trial is None:
            raise OperationsError("no version is on trial")
        version = before.trial.version
        return _release_after_gate(target, before, version, say, None if accept_shift else partial(_compare, on))


def rollback(target: DeploymentTarget, say: Say) -> Release:
    """Makes the version live that served before the live one, and ends a trial; it is loaded, so this takes a second.

    Servers that do not answer, or that end while they load the version, do not hinder it while another has it.

    Raises:
        OperationsError: there is none, or it could not be made live; everything is as before.
    """
    with _locked_record(target) as before:
        if before is None or before.previous is None:
            raise OperationsError("no version served before the live one: there is nothing to go back to")
        with loaded_on_all(target, before.previous, say, is_urgent=True):
            return _make_live(target, before, before.previous, "rolled_back", say)


def take_over(target: DeploymentTarget, version: int, say: Say, of: Release | None = None) -> Release:
    """Makes a version live instead of the live one, which cannot be loaded, and ends a trial.

    Where it is given `of` which record, it does so only for that one: what was released meanwhile goes on.

    Raises:
        LockHeld: a release runs.
        OperationsError: this version could not be made live either, or the live one scores; everything is as before.
    """
    with _locked_record(target) as before:
        if before is None or (of and of != before):
            raise OperationsError("the version that another was to step in for is not live any more")
        if _ready_server(target, before.version):
            raise OperationsError(f"version {before.version} scores: nothing needs to step in for it")
        with loaded_on_all(target, version, say):
            record = Release(version, before.version, _now(), instead_of=before.instead_of or before.version)
            return _write(target, record, "took_over", say, instead_of=record.instead_of)


def start_trial(target: DeploymentTarget, version: int, kind: TrialKind, share: float, say: Say) -> Release:
    """Puts a version on trial beside the live one; on a trial of the same kind that runs, changes its share.

    Raises:
        LockHeld: another release runs, or the reconciler loads a version.
        OperationsError: it could not be put on trial; says why, and everything is as before.
    """
    if not target.redis_url:
        raise OperationsError("a trial needs Redis, where gateways count what it does: set REDIS_URL")
    with _locked_record(target) as before:
        _refuse_other_trial(before, version)
        if before is None or before.version == version:
            raise OperationsError(f"version {version} has no live version beside which it could be tried: release it")
        same = before.trial if before.trial and before.trial.kind is kind else None
        _verify(target, version, say)
        with loaded_on_all(target, version, say):
            trial = Trial(kind, version, share, same.started if same else _now())
            facts = {"kind": kind, "share": share}
            return _write(target, replace(before, trial=trial), "trial_started", say, trial=version, **facts)


def abort_trial(target: DeploymentTarget, why: str, say: Say, of: Trial | None = None) -> Release:
    """Ends the trial (`of` says which is meant, where that is known); the live version has all traffic in a second.

    Raises:
        LockHeld: a release runs.
        OperationsError: there is no trial, or not this one any more.
    """
    with _locked_record(target) as before:
        if before is None or before.trial is None or (of and of != before.trial):
            raise OperationsError("no version is on trial")
        return _write(target, replace(before, trial=None), "trial_aborted", say, trial=before.trial.version, why=why)


@contextlib.contextmanager
def _locked_record(target: DeploymentTarget) -> Iterator[Release | None]:
    """The record, which no other process changes meanwhile, and none has changed while this one waited."""
    expected = read_record(target.store)
    with release_lock(target, RELEASE_LOCK_TIMEOUT):
        now = read_record(target.store)
        if now != expected:
            live = now.version if now else None
            raise RecordChanged(
                f"the release record was changed meanwhile, version {live} is live: look, and run it again"
            )
        yield now


def _verify(target: DeploymentTarget, version: int, say: Say) -> None:
    """Also what is loaded already must be good on disk: it will have to be loaded again."""
    target.registry.entry(version)
    say(f"version {version}: verifying its archive")
    target.registry.verify(version)


def _release_after_gate(
    target: DeploymentTarget, before: Release | None, version: int, say: Say, compare: Compare | None
) -> Release:
    _verify(target, version, say)
    with loaded_on_all(target, version, say) as ready:
        if before and before.version != version and compare:
            compare(ready, before, version, say)
        promoted = before is not None and before.trial is not None
        return _make_live(target, before, version, "promoted" if promoted else "released", say)


def _refuse_other_trial(record: Release | None, version: int) -> None:
    if record and record.trial and record.trial.version != version:
        on_trial = record.trial.version
        raise OperationsError(f"version {on_trial} is on trial: fraud release --promote, or --abort, before another")


def _compare(on: bytes | None, target: DeploymentTarget, before: Release, version: int, say: Say) -> None:
    ready = _ready_server(target, before.version)
    if ready is None:
        say(f"version {before.version} scores nothing now, so there is nothing to compare version {version} with")
        return
    both = None if on is not None else _trial_samples(target, before.trial)
    shift_gate.check(
        before.version, version, both or shift_gate.scored_samples(ready, before.version, version, on), say
    )


def _ready_server(target: DeploymentTarget, version: int) -> DeploymentTarget | None:
    """The first server on which a version scores: each has been proven by itself, so one can speak for all."""
    return next((one for one in target.single_servers if one.server.is_ready(version)), None)


def _trial_samples(target: DeploymentTarget, trial: Trial | None) -> SamplePair | None:
    if trial is None or not target.redis_url:
        return None
    with contextlib.suppress(RedisUnavailable):
        return shift_gate.trial_samples(trial_counts.read_trial_counts(target.redis_url, trial))
    return None


def _make_live(target: DeploymentTarget, before: Release | None, version: int, event: str, say: Say) -> Release:
    if before is None or before.version != version:
        return _write(target, Release(version, before.version if before else None, _now()), event, say)
    settled = replace(before, trial=None, instead_of=None)
    return before if settled == before else _write(target, settled, event, say)


def _write(target: DeploymentTarget, record: Release, event: str, say: Say, **facts: object) -> Release:
    say("writing the release record")
    durable.write(target.record_path, record.to_bytes())
    fields = {"version": record.version, "previous": record.previous, **facts}
    journal.note(target.store, event, **fields)
    return record


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
