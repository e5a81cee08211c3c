"""Makes a version the live one. The release record is written here and nowhere else.

verify -> register -> all workers ready -> golden probe on the explicit version -> record. Everything before the record
can be undone, and is: a registration that this release made is deleted again when anything fails. The record is
replaced in one step, so at every moment one known version is live. The version before it stays registered, warm.
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
from operations.torchserve import ModelServer, ModelServerRefused

READY_WITHIN = 60.0
"""Seconds that a registered version's workers may take to be ready."""


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
    except ReleaseError:
        raise OperationsError(f"{path} is damaged; put it back from a backup, or delete it and release again") from None


def release(place: Place, version: int, report: Callable[[str], None]) -> Release:
    """Makes a version live, or changes nothing.

    Raises:
        OperationsError: it could not be made live; says why, and everything is as before.
    """
    lock = place.registry.root / ".release.lock"
    with durable.held(lock, "another release is running; wait until it is done"), _undoing(place, version):
        load(place, version, report)
        report(f"version {version}: scoring its golden rows")
        prove(place.server, place.registry.entry(version))
        return _record(place, version)


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
    """Registers a version, its archive verified just before, and waits for its workers; if it runs already, nothing."""
    there = place.server.registered().get(version)
    if there and there.ready >= place.workers and _is_entry(place, version):
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
    """Whether what runs as a version is the store's: after a store was emptied, numbers begin anew."""
    try:
        description = Description.from_bytes(place.server.ask(version, DESCRIBE))
    except (DescriptionError, ModelServerRefused):
        return False
    return _describes(description, place.registry.entry(version))


def _describes(description: Description, entry: Entry) -> bool:
    found = (description.version, description.contract.fingerprint, description.card.created)
    return found == (entry.version, entry.contract_fingerprint, entry.created)


def _wait_until_ready(place: Place, version: int) -> None:
    """A synchronous registration has been seen to return with all workers ready; this does not rely on it."""
    until = time.monotonic() + READY_WITHIN
    while (there := place.server.registered().get(version)) is None or there.ready < place.workers:
        if time.monotonic() > until:
            raise NotProven(f"the workers of version {version} were not ready within {READY_WITHIN:.0f} s; see the log")
        time.sleep(0.1)


@contextlib.contextmanager
def _undoing(place: Place, version: int) -> Iterator[None]:
    """Deletes the version again when the release fails, unless it was registered before or is the live one."""
    kept = set(place.server.registered())
    if live := recorded(place.registry.root):
        kept.add(live.version)
    try:
        yield
    except BaseException:
        if version not in kept:
            with contextlib.suppress(OperationsError):
                place.server.delete(version)
        raise


def _record(place: Place, version: int) -> Release:
    live = recorded(place.registry.root)
    if live and live.version == version:
        return live
    record = Release(version, live.version if live else None, datetime.now(UTC).isoformat(timespec="seconds"))
    durable.write(place.record, record.to_bytes())
    return record
