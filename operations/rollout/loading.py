"""Where releases happen, the lock that they take, and how one TorchServe loads a version and proves it."""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from contract.decision import NO_OVERRIDES, ThresholdOverrides
from contract.description import Description
from operations.errors import OperationsError, in_words
from operations.files import durable
from operations.settings import LEAST_DRAIN
from operations.store import archive_copies
from operations.store.archive_copies import CopyFailed
from operations.store.registry import Entry, Registry
from operations.torchserve.client import RegisteredVersion, TorchServeClient, TorchServeInvalidAnswer
from releases.record import FILE_NAME

READY_WITHIN = 60.0
"""Seconds that a registered version's workers may take to be ready."""
COPIES = ("fraud-*.verified.mar", f"{archive_copies.PREFIX}*")
"""Names in the directory that TorchServe loads from."""


class NotProven(OperationsError):
    """A version does not answer as its training said it would."""


@dataclass(frozen=True, slots=True)
class DeploymentTarget:
    """Where a release happens.

    Attributes:
        verified: the directory that the model servers load from; who may write the store must not be able to write it.
        server: the model server; of several, the first.
        workers: how many each version gets; None leaves it to the model server.
        redis_url: where gateways count what a trial does; None where there is no Redis.
        drain: seconds after which no request can be on a version that nobody wants any more.
        thresholds: what the gateways decide by instead of the model cards' own.
        others: further model servers, which are to hold what the first does.
    """

    registry: Registry
    verified: Path
    server: TorchServeClient
    workers: int | None
    redis_url: str | None = None
    drain: float = LEAST_DRAIN
    thresholds: ThresholdOverrides = NO_OVERRIDES
    others: tuple[TorchServeClient, ...] = ()

    @property
    def each(self) -> list["DeploymentTarget"]:
        """The place of each model server by itself."""
        return [replace(self, server=server, others=()) for server in (self.server, *self.others)]

    @property
    def record(self) -> Path:
        """The release record's file."""
        return self.registry.root / FILE_NAME


def release_lock(place: DeploymentTarget, patience: float = 0.0) -> contextlib.AbstractContextManager[None]:
    """Holds the lock under which alone versions are registered and deleted."""
    refusal = "another release is running, or the live version is being loaded again; try again when it is done"
    return durable.locked(place.registry.root / ".release.lock", refusal, patience)


def load(place: DeploymentTarget, version: int, say: Callable[[str], None]) -> None:
    """Registers a version by the copy of its archive that was verified, and waits for its workers.

    TorchServe opens a file by its name some time after it is told to. So it is told the name of a copy that nobody can
    have changed since; it has unpacked it when the registration is done, and the copy is deleted.

    One that scores already is never deleted: the workers that TorchServe restarts are waited for, but not relied on.
    """
    there = place.server.registered().get(version)
    if there and there.ready and _is_entry(place, version):
        _wait_for_the_rest(place, version, say)
        return
    with _copied(place, version) as archive:
        if there:
            place.server.delete(version)
        say(f"version {version}: starting {place.workers or 'its'} workers")
        place.server.register(archive, place.workers)
    _wait_until_ready(place, version)


@contextlib.contextmanager
def _copied(place: DeploymentTarget, version: int) -> Iterator[Path]:
    """A verified copy of a version's archive where TorchServe finds it by its bare name, as long as the block lasts.

    It gets that name after it was verified. What a load left that was killed goes first, so there is one copy at most.
    """
    try:
        place.verified.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget_copies(place.verified)
    except OSError as error:
        raise CopyFailed(in_words(error)) from None
    with place.registry.verified(version, place.verified) as found:
        copy = place.verified / f"{found.archive.stem}.verified.mar"
        try:
            found.archive.replace(copy)
        except OSError as error:
            raise CopyFailed(in_words(error)) from None
        try:
            yield copy
        finally:
            copy.unlink(missing_ok=True)


def _forget_copies(directory: Path) -> None:
    """Deletes all copies; the release lock is held, so nobody else needs one."""
    for path in [path for names in COPIES for path in directory.glob(names)]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def prove(place: DeploymentTarget, entry: Entry) -> None:
    """Lets a version describe itself and score its golden rows.

    Raises:
        NotProven: it is not the version of the entry, or its scores are not those that training computed.
    """
    described = place.server.describe(entry.version)
    if not _describes(described, entry):
        raise NotProven(f"what is registered as version {entry.version} is another model than the model store's")
    if not described.proven_by(place.server.score(described, described.golden.matrix(described.contract))):
        raise NotProven(f"version {entry.version} scores its golden rows otherwise than its training did")


def _is_entry(place: DeploymentTarget, version: int) -> bool:
    """Whether what runs as a version is the store's: after a store was emptied, numbers begin anew.

    Raises:
        TorchServeRefused: that cannot be known now.
    """
    try:
        described = place.server.describe(version)
    except TorchServeInvalidAnswer:
        return False
    return _describes(described, place.registry.entry(version))


def _describes(description: Description, entry: Entry) -> bool:
    found = (description.version, description.contract.fingerprint, description.card.created)
    return found == (entry.version, entry.contract_fingerprint, entry.created)


def _wait_for_the_rest(place: DeploymentTarget, version: int, say: Callable[[str], None]) -> None:
    until = time.monotonic() + READY_WITHIN
    while (there := place.server.registered().get(version)) and there.ready < _meant(place, there):
        if time.monotonic() > until:
            say(f"version {version}: only {there.ready} of its {there.workers} workers are ready; see the log")
            return
        time.sleep(0.1)


def _meant(place: DeploymentTarget, there: RegisteredVersion) -> int:
    return there.workers if place.workers is None else min(there.workers, place.workers)


def _wait_until_ready(place: DeploymentTarget, version: int) -> None:
    """The registration has waited for them; this does not rely on it."""
    until = time.monotonic() + READY_WITHIN
    while (there := place.server.registered().get(version)) is None or not there.has(place.workers):
        if time.monotonic() > until:
            raise NotProven(f"the workers of version {version} were not ready within {READY_WITHIN:.0f} s; see the log")
        time.sleep(0.1)
