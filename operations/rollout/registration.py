"""How one TorchServe loads a version from a verified copy of its archive, and proves that it scores as in training."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from contract.description import Description
from operations.errors import OperationsError, in_words
from operations.files import scratch
from operations.rollout.deployment import DeploymentTarget, Say
from operations.store.archive_copies import CopyFailed
from operations.store.registry import Entry
from operations.torchserve.client import TorchServeInvalidAnswer

READY_TIMEOUT = 60.0
"""Seconds that a registered version's workers may take to be ready."""
COPIES = ("fraud-*.verified.mar", "fraud-verified-*", f"{scratch.PREFIX}*")
"""Names in the directory that TorchServe loads from; older releases gave the second one."""


class NotProven(OperationsError):
    """A version does not score its golden rows as in its training, or is another one."""


def load(target: DeploymentTarget, version: int, say: Say) -> None:
    """Registers a version by the copy of its archive that was verified, and waits for its workers.

    TorchServe opens the file by its name some time after the request. So it gets the name of a copy that nobody can
    have changed since; it has unpacked it when the registration is done, and the copy is deleted.

    One that scores already is never deleted: the workers that TorchServe restarts are waited for, but not relied on.
    """
    registered = target.server.registered().get(version)
    if registered and registered.ready and _is_entry(target, version):
        _wait_for_the_rest(target, version, say)
        return
    with _verified_copy(target, version) as archive:
        if registered:
            target.server.delete(version)
        say(f"version {version}: starting {target.workers or 'its'} workers")
        target.server.register(archive, target.workers)
    _wait_until_ready(target, version)


@contextlib.contextmanager
def _verified_copy(target: DeploymentTarget, version: int) -> Iterator[Path]:
    """A verified copy of a version's archive where TorchServe finds it by its bare name, as long as the block lasts.

    It gets that name after it was verified. What a load left that was killed goes first, so there is one copy at most.
    """
    try:
        target.verified.mkdir(mode=0o700, parents=True, exist_ok=True)
        _delete_copies(target.verified)
    except OSError as error:
        raise CopyFailed(in_words(error)) from None
    with target.registry.verified(version, target.verified) as found:
        copy = target.verified / f"{found.archive.stem}.verified.mar"
        try:
            found.archive.replace(copy)
        except OSError as error:
            raise CopyFailed(in_words(error)) from None
        try:
            yield copy
        finally:
            copy.unlink(missing_ok=True)


def _delete_copies(directory: Path) -> None:
    """Deletes all copies; the release lock is held, so nobody else needs one."""
    for path in [path for names in COPIES for path in directory.glob(names)]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def prove(target: DeploymentTarget, entry: Entry) -> None:
    """Lets a version describe itself and score its golden rows.

    Raises:
        NotProven: it is not the version of the entry, or its scores are not those that training computed.
    """
    described = target.server.describe(entry.version)
    if not _describes(described, entry):
        raise NotProven(f"what is registered as version {entry.version} is another model than the model store's")
    if not described.proven_by(target.server.score(described, described.golden.matrix(described.contract))):
        raise NotProven(f"version {entry.version} scores its golden rows otherwise than its training did")


def _is_entry(target: DeploymentTarget, version: int) -> bool:
    """Whether what runs as a version is the store's: after a store was emptied, numbers begin anew.

    Raises:
        TorchServeRefused: that cannot be known now.
    """
    try:
        described = target.server.describe(version)
    except TorchServeInvalidAnswer:
        return False
    return _describes(described, target.registry.entry(version))


def _describes(description: Description, entry: Entry) -> bool:
    found = (description.version, description.contract.fingerprint, description.card.created)
    return found == (entry.version, entry.contract_fingerprint, entry.created)


def _wait_for_the_rest(target: DeploymentTarget, version: int, say: Say) -> None:
    until = time.monotonic() + READY_TIMEOUT
    while registered := target.server.registered().get(version):
        if registered.ready >= min(registered.workers, target.workers or registered.workers):
            return
        if time.monotonic() > until:
            say(
                f"version {version}: only {registered.ready} of its {registered.workers} workers are ready; see the log"
            )
            return
        time.sleep(0.1)


def _wait_until_ready(target: DeploymentTarget, version: int) -> None:
    """The registration has waited for them; this does not rely on it."""
    until = time.monotonic() + READY_TIMEOUT
    while (registered := target.server.registered().get(version)) is None or not registered.has_ready(target.workers):
        if time.monotonic() > until:
            raise NotProven(
                f"the workers of version {version} were not ready within {READY_TIMEOUT:.0f} s; see the log"
            )
        time.sleep(0.1)
