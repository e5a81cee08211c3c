"""Makes a version the live one. The release record is written here and nowhere else.

verify -> register -> all workers ready -> golden probe on the explicit version -> record. Everything before the record
can be undone, and is: a registration that this release made is deleted again when anything fails. The record is
replaced in one step, so at every moment one known version is live. The version before it stays registered, warm; those
before that are forgotten. Whoever loads a version, the reconciler too, holds the store's release lock.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contract.description import Description, DescriptionError
from contract.frame import DESCRIBE, Frame, FrameError
from contract.release import FILE_NAME, Release, ReleaseError
from operations import durable
from operations.errors import OperationsError
from operations.registry import Entry, Registry
from operations.torchserve import ModelServer

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
    """

    registry: Registry
    server: ModelServer
    workers: int

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


def release(place: Place, version: int, report: Callable[[str], None]) -> Release:
    """Makes a version live, or changes nothing.

    Raises:
        Busy: another release runs, or the reconciler loads a version.
        OperationsError: it could not be made live; says why, and everything is as before.
    """
    entry = place.registry.entry(version)
    with alone(place, PATIENCE):
        with _undoing(place, version):
            load(place, version, report)
            report(f"version {version}: scoring its golden rows")
            prove(place.server, entry)
            record = _record(place, version)
        _forget_others(place, record)
    return record


def alone(place: Place, patience: float = 0.0) -> contextlib.AbstractContextManager[None]:
    """Holds the lock under which alone versions are registered and deleted."""
    refusal = "another release is running, or the live version is being loaded again; try again when it is done"
    return durable.held(place.registry.root / ".release.lock", refusal, patience)


def rollback(place: Place, report: Callable[[str], None]) -> Release:
    """Makes the version live that served before the live one; it is still loaded, so this takes a second or two.

    Raises:
        OperationsError: there is none, or it could not be made live; everything is as before.
    """
    live = recorded(place.registry.root)
    if live is None or live.previous is None:
        raise OperationsError("no version served before the live one: there is nothing to go back to")
    return release(place, live.previous, report)


def load(place: Place, version: int, report: Callable[[str], None]) -> None:
    """Registers a version, its archive verified just before, and waits for its workers.

    One that scores already is never deleted: the workers that TorchServe restarts are waited for, but not relied on.
    """
    there = place.server.registered().get(version)
    if there and there.ready and _is_entry(place, version):
        _wait_for_the_rest(place, version, report)
        return
    report(f"version {version}: verifying its archive")
    archive = place.registry.verify(version)
    if there:
        place.server.delete(version)
    report(f"version {version}: starting {place.workers} workers")
    place.server.register(archive, place.workers)
    _wait_until_ready(place, version)


def prove(server: ModelServer, entry: Entry) -> None:
    """Lets a version describe itself and score its golden rows.

    Raises:
        NotProven: it is not the version of the entry, or its scores are not those that training computed.
    """
    version = entry.version
    try:
        description = Description.from_bytes(server.ask(version, DESCRIBE))
        contract = description.contract
        asked = Frame(version, contract.fingerprint, description.golden.matrix(contract))
        answer = Frame.from_bytes(server.ask(version, asked.to_bytes()))
    except (DescriptionError, FrameError) as error:
        raise NotProven(f"version {version} does not answer as a model should: {error}") from None
    if not _describes(description, entry) or (answer.version, answer.fingerprint) != (version, contract.fingerprint):
        raise NotProven(f"what is registered as version {version} is another model than the model store's")
    if not description.proven_by(answer.values[:, 0]):
        raise NotProven(f"version {version} scores its golden rows otherwise than its training did")


def _is_entry(place: Place, version: int) -> bool:
    """Whether what runs as a version is the store's: after a store was emptied, numbers begin anew.

    Raises:
        ModelServerRefused: that cannot be known now.
    """
    try:
        description = Description.from_bytes(place.server.ask(version, DESCRIBE))
    except DescriptionError:
        return False
    return _describes(description, place.registry.entry(version))


def _describes(description: Description, entry: Entry) -> bool:
    found = (description.version, description.contract.fingerprint, description.card.created)
    return found == (entry.version, entry.contract_fingerprint, entry.created)


def _wait_for_the_rest(place: Place, version: int, report: Callable[[str], None]) -> None:
    until = time.monotonic() + READY_WITHIN
    while (there := place.server.registered().get(version)) and there.ready < min(there.workers, place.workers):
        if time.monotonic() > until:
            report(f"version {version}: only {there.ready} of its {there.workers} workers are ready; see the log")
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
            if version not in kept | _named(recorded(place.registry.root)):
                place.server.delete(version)
        raise


def _named(record: Release | None) -> set[int]:
    return {version for version in (record.version, record.previous) if version} if record else set()


def _forget_others(place: Place, record: Release) -> None:
    """Frees the memory of versions that are neither live nor next in line; the release is done, whatever happens."""
    with contextlib.suppress(OperationsError):
        for version in place.server.registered().keys() - _named(record):
            place.server.delete(version)


def _record(place: Place, version: int) -> Release:
    live = recorded(place.registry.root)
    if live and live.version == version:
        return live
    record = Release(version, live.version if live else None, datetime.now(UTC).isoformat(timespec="seconds"))
    durable.write(place.record, record.to_bytes())
    return record
