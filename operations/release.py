"""Makes a version the live one, or puts it on trial beside it. The release record is written here and nowhere else.

verify -> register -> all workers ready -> golden probe on the explicit version -> gate against the live version ->
record. Everything before the record can be undone, and is: a registration that this release made is deleted again when
anything fails. The record is replaced in one step, so at every moment one known version is live. The version before it
stays registered, warm; what no record wants is forgotten by the reconciler once no request can be on it any more.
Whoever loads a version, the reconciler too, holds the store's release lock.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from contract.description import Description
from contract.release import FILE_NAME, Release, ReleaseError, Trial, TrialKind
from operations import durable, gate, journal, tallies
from operations.errors import OperationsError
from operations.registry import Entry, Registry
from operations.tallies import RedisDown
from operations.torchserve import ModelServer, ModelServerOdd

READY_WITHIN = 60.0
"""Seconds that a registered version's workers may take to be ready."""
PATIENCE = 10.0
"""Seconds that a release waits for another, or for the reconciler, to end."""


class NotProven(OperationsError):
    """A version does not answer as its training said it would."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a release happens.

    Attributes:
        workers: how many each version gets.
        redis_url: where gateways count what a trial does; None where there is no Redis.
    """

    registry: Registry
    server: ModelServer
    workers: int
    redis_url: str | None = None

    @property
    def record(self) -> Path:
        """The release record's file."""
        return self.registry.root / FILE_NAME


def recorded(store: Path) -> Release | None:
    """The release record of a model store; None before the first release.

    Raises:
        OperationsError: it cannot be read.
    """
    path = store / FILE_NAME
    try:
        return Release.from_bytes(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OperationsError(f"{path} cannot be read: {error.strerror}") from None
    except ReleaseError:
        raise OperationsError(f"{path} is damaged; put it back from a backup, or delete it and release again") from None


def release(
    place: Place, version: int, say: Callable[[str], None], *, accept_shift: bool = False, on: bytes | None = None
) -> Release:
    """Makes a version live, or changes nothing; a trial of this version ends with it.

    With `accept_shift` even if it flags other transactions than the live version. `on` is a CSV file of recent
    transactions to compare the two on, instead of what a trial has counted or the golden rows.

    Raises:
        Busy: another release runs, or the reconciler loads a version.
        ShiftTooLarge: it would flag other transactions than the live version does.
        OperationsError: it could not be made live; says why, and everything is as before.
    """
    with _alone_with_record(place) as before:
        _refuse_other_trial(before, version)
        with _loaded(place, version, say):
            if before and before.version != version and not accept_shift:
                _compare(place, before, version, on, say)
            promoted = before is not None and before.trial is not None
            return _make_live(place, before, version, "promoted" if promoted else "released", say)


def rollback(place: Place, say: Callable[[str], None]) -> Release:
    """Makes the version live that served before the live one, and ends a trial; it is loaded, so this takes a second.

    Raises:
        OperationsError: there is none, or it could not be made live; everything is as before.
    """
    with _alone_with_record(place) as before:
        if before is None or before.previous is None:
            raise OperationsError("no version served before the live one: there is nothing to go back to")
        with _loaded(place, before.previous, say):
            return _make_live(place, before, before.previous, "rolled_back", say)


def take_over(place: Place, version: int, say: Callable[[str], None], of: Release | None = None) -> Release:
    """Makes a version live instead of the live one, which cannot be loaded, and ends a trial.

    Where it is given `of` which record, it does so only for that one: what was released meanwhile goes on.

    Raises:
        Busy: a release runs.
        OperationsError: this version could not be made live either, or the live one scores; everything is as before.
    """
    with _alone_with_record(place) as before:
        if before is None or (of and of != before):
            raise OperationsError("the version that another was to step in for is not live any more")
        if (live := place.server.registered().get(before.version)) and live.ready:
            raise OperationsError(f"version {before.version} scores: nothing needs to step in for it")
        with _loaded(place, version, say):
            record = Release(version, before.version, _now(), instead_of=before.instead_of or before.version)
            return _write(place, record, "took_over", say, instead_of=record.instead_of)


def start_trial(place: Place, version: int, kind: TrialKind, share: float, say: Callable[[str], None]) -> Release:
    """Puts a version on trial beside the live one; on a trial of the same kind that runs, changes its share.

    Raises:
        Busy: another release runs, or the reconciler loads a version.
        OperationsError: it could not be put on trial; says why, and everything is as before.
    """
    if not place.redis_url:
        raise OperationsError("a trial needs Redis, where gateways count what it does: set REDIS_URL")
    with _alone_with_record(place) as before:
        _refuse_other_trial(before, version)
        if before is None or before.version == version:
            raise OperationsError(f"version {version} has no live version beside which it could be tried: release it")
        same = before.trial if before.trial and before.trial.kind is kind else None
        with _loaded(place, version, say):
            trial = Trial(kind, version, share, same.started if same else _now())
            facts = {"kind": kind, "share": share}
            return _write(place, replace(before, trial=trial), "trial_started", say, trial=version, **facts)


def abort_trial(place: Place, why: str, say: Callable[[str], None], of: Trial | None = None) -> Release:
    """Ends the trial (`of` says which is meant, where that is known); the live version has all traffic in a second.

    Raises:
        Busy: a release runs.
        OperationsError: there is no trial, or not this one any more.
    """
    with _alone_with_record(place) as before:
        if before is None or before.trial is None or (of and of != before.trial):
            raise OperationsError("no version is on trial")
        return _write(place, replace(before, trial=None), "trial_aborted", say, trial=before.trial.version, why=why)


@contextlib.contextmanager
def _alone_with_record(place: Place) -> Iterator[Release | None]:
    """The record, which no other process changes meanwhile."""
    with alone(place, PATIENCE):
        yield recorded(place.registry.root)


@contextlib.contextmanager
def _loaded(place: Place, version: int, say: Callable[[str], None]) -> Iterator[None]:
    """A version loaded and proven; what was loaded for it is deleted again when the block fails."""
    entry = place.registry.entry(version)
    with _undoing(place, version):
        load(place, version, say)
        say(f"version {version}: scoring its golden rows")
        prove(place, entry)
        yield


def _refuse_other_trial(record: Release | None, version: int) -> None:
    if record and record.trial and record.trial.version != version:
        on_trial = record.trial.version
        raise OperationsError(f"version {on_trial} is on trial: fraud release --promote, or --abort, before another")


def _compare(place: Place, before: Release, version: int, on: bytes | None, say: Callable[[str], None]) -> None:
    """Stops a release that would change what is flagged."""
    there = place.server.registered().get(before.version)
    if there is None or not there.ready:
        say(f"version {before.version} scores nothing now, so there is nothing to compare version {version} with")
        return
    samples = None if on is not None else _counted(place, before.trial)
    gate.check(before.version, version, samples or gate.scored(place.server, before.version, version, on), say)


def _counted(place: Place, trial: Trial | None) -> tuple[gate.Sample, gate.Sample] | None:
    """What was counted on live traffic while the version was on trial, if it was."""
    if trial is None or not place.redis_url:
        return None
    with contextlib.suppress(RedisDown):
        return gate.counted(tallies.read(place.redis_url, trial))
    return None


def alone(place: Place, patience: float = 0.0) -> contextlib.AbstractContextManager[None]:
    """Holds the lock under which alone versions are registered and deleted."""
    refusal = "another release is running, or the live version is being loaded again; try again when it is done"
    return durable.held(place.registry.root / ".release.lock", refusal, patience)


def load(place: Place, version: int, say: Callable[[str], None]) -> None:
    """Registers a version, its archive verified just before, and waits for its workers.

    One that scores already is never deleted: the workers that TorchServe restarts are waited for, but not relied on.
    """
    there = place.server.registered().get(version)
    if there and there.ready and _is_entry(place, version):
        _wait_for_the_rest(place, version, say)
        return
    say(f"version {version}: verifying its archive")
    archive = place.registry.verify(version)
    if there:
        place.server.delete(version)
    say(f"version {version}: starting {place.workers} workers")
    place.server.register(archive, place.workers)
    _wait_until_ready(place, version)


def prove(place: Place, entry: Entry) -> None:
    """Lets a version describe itself and score its golden rows.

    Raises:
        NotProven: it is not the version of the entry, or its scores are not those that training computed.
    """
    described = place.server.describe(entry.version)
    if not _describes(described, entry):
        raise NotProven(f"what is registered as version {entry.version} is another model than the model store's")
    if not described.proven_by(place.server.score(described, described.golden.matrix(described.contract))):
        raise NotProven(f"version {entry.version} scores its golden rows otherwise than its training did")


def _is_entry(place: Place, version: int) -> bool:
    """Whether what runs as a version is the store's: after a store was emptied, numbers begin anew.

    Raises:
        ModelServerRefused: that cannot be known now.
    """
    try:
        described = place.server.describe(version)
    except ModelServerOdd:
        return False
    return _describes(described, place.registry.entry(version))


def _describes(description: Description, entry: Entry) -> bool:
    found = (description.version, description.contract.fingerprint, description.card.created)
    return found == (entry.version, entry.contract_fingerprint, entry.created)


def _wait_for_the_rest(place: Place, version: int, say: Callable[[str], None]) -> None:
    until = time.monotonic() + READY_WITHIN
    while (there := place.server.registered().get(version)) and there.ready < min(there.workers, place.workers):
        if time.monotonic() > until:
            say(f"version {version}: only {there.ready} of its {there.workers} workers are ready; see the log")
            return
        time.sleep(0.1)


def _wait_until_ready(place: Place, version: int) -> None:
    """A synchronous registration has been seen to return with all workers ready; this does not rely on it."""
    until = time.monotonic() + READY_WITHIN
    while (there := place.server.registered().get(version)) is None or there.ready < place.workers:
        if time.monotonic() > until:
            raise NotProven(f"the workers of version {version} were not ready within {READY_WITHIN:.0f} s; see the log")
        time.sleep(0.1)


@contextlib.contextmanager
def _undoing(place: Place, version: int) -> Iterator[None]:
    """Deletes the version again when the release fails, unless it could score before or the record names it now."""
    kept = {number for number, there in place.server.registered().items() if there.ready}
    try:
        yield
    except BaseException:
        with contextlib.suppress(OperationsError):
            record = recorded(place.registry.root)
            if version not in kept | set(record.wanted if record else ()):
                place.server.delete(version)
        raise


def _make_live(place: Place, before: Release | None, version: int, event: str, say: Callable[[str], None]) -> Release:
    if before is None or before.version != version:
        return _write(place, Release(version, before.version if before else None, _now()), event, say)
    settled = replace(before, trial=None, instead_of=None)
    return before if settled == before else _write(place, settled, event, say)


def _write(place: Place, record: Release, event: str, say: Callable[[str], None], **facts: object) -> Release:
    say("writing the release record")
    durable.write(place.record, record.to_bytes())
    told = {"version": record.version, "previous": record.previous, **facts}
    journal.note(place.registry.root, event, **told)
    return record


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
