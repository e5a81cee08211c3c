"""Loads a version on every model server that answers and proves it there; what fails is deleted again everywhere.

Where there are several servers, one after the other: a version that ends the first one never reaches the second. One
that does not answer is skipped and reported; once its readiness probe has failed it gets no traffic until the keeper
has loaded the live version there. One that answers and refuses stops the release, since it would go on serving a
version that the record names no more.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace

from operations.errors import OperationsError
from operations.rollout.deployment import DeploymentTarget, Say
from operations.rollout.registration import load, prove
from operations.store.registry import Entry
from operations.store.release_record import read_record
from operations.torchserve.client import TorchServeClient, TorchServeUnreachable

RECONNECT_TIMEOUT = 10.0
"""Seconds that a release waits for one of several servers to answer; TorchServe starts in 3 to 5."""


@contextlib.contextmanager
def loaded_on_all(
    target: DeploymentTarget, version: int, say: Say, *, is_urgent: bool = False
) -> Iterator[DeploymentTarget]:
    """A version loaded and proven; what was loaded for it is deleted again when the block fails.

    Args:
        target: where; of several servers, those that answer.
        version: of the store.
        say: takes a message for each step and for each server that is skipped.
        is_urgent: does not wait for a server to come back, and also skips one that ends while it loads the version, if
            another has proven it.

    Yields:
        The target with only those servers that have the version.

    Raises:
        TorchServeUnreachable: no server answers, or one has ended while it loaded the version.
        OperationsError: a server that answers cannot load it or prove it.
    """
    entry = target.registry.entry(version)
    with contextlib.ExitStack() as rollbacks:
        if target.others:
            yield _load_on_each(target, entry, say, rollbacks, is_urgent=is_urgent)
        else:
            rollbacks.enter_context(_deleted_on_failure(target, version))
            _load_and_prove(target, entry, say)
            yield target


def _load_on_each(
    target: DeploymentTarget, entry: Entry, say: Say, rollbacks: contextlib.ExitStack, *, is_urgent: bool
) -> DeploymentTarget:
    """The target with only those servers that have the version; the others are reported."""
    answering, unreachable = _poll_servers(target, entry.version, 0.0 if is_urgent else RECONNECT_TIMEOUT)
    loaded = list[DeploymentTarget]()
    for one in answering:
        try:
            with _errors_named(one.server):
                rollbacks.enter_context(_deleted_on_failure(one, entry.version))
                _load_and_prove(one, entry, _prefixed(one.server, say))
        except TorchServeUnreachable:
            if not (is_urgent and loaded):
                raise
            unreachable.append(one)
        else:
            loaded.append(one)
    if not loaded:
        addresses = ", ".join(one.server.address for one in unreachable)
        raise TorchServeUnreachable(f"no model server answers at {addresses}")
    for one in unreachable:
        address = one.server.address
        say(f"{address}: does not answer and is left out; the keeper loads version {entry.version} there later")
    first, *others = (one.server for one in loaded)
    return replace(target, server=first, others=tuple(others))


def _poll_servers(
    target: DeploymentTarget, version: int, timeout: float
) -> tuple[list[DeploymentTarget], list[DeploymentTarget]]:
    """The servers that answer, first those on which the version scores already, and those that do not answer in time.

    All are asked at once, since an address behind a firewall that drops packets takes 10 s.
    """
    until = time.monotonic() + timeout
    while True:
        polls = [(one, _poll_in_background(one, version)) for one in target.single_servers]
        readiness = [(one, future.result()) for one, future in polls]
        unreachable = [one for one, is_ready in readiness if is_ready is None]
        if not unreachable or time.monotonic() >= until:
            break
        time.sleep(0.1)
    answering = [one for expected in (True, False) for one, is_ready in readiness if is_ready is expected]
    return answering, unreachable


def _poll_in_background(target: DeploymentTarget, version: int) -> "Future[bool | None]":
    """Asks on a daemon thread, which does not keep this process from ending."""
    future = Future[bool | None]()

    def ask() -> None:
        try:
            with _errors_named(target.server):
                future.set_result(_is_ready(target, version))
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
            future.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    return future


def _is_ready(target: DeploymentTarget, version: int) -> bool | None:
    """Whether a version scores on a server; None where that does not answer."""
    try:
        return target.server.is_ready(version)
    except TorchServeUnreachable:
        return None


def _load_and_prove(target: DeploymentTarget, entry: Entry, say: Say) -> None:
    load(target, entry.version, say)
    say(f"version {entry.version}: scoring its golden rows")
    prove(target, entry)


def _prefixed(server: TorchServeClient, say: Say) -> Say:
    return lambda text: say(f"{server.address}: {text}")


@contextlib.contextmanager
def _errors_named(server: TorchServeClient) -> Iterator[None]:
    try:
        yield
    except TorchServeUnreachable:  # Its message has the address.
        raise
    except OperationsError as error:
        raise OperationsError(f"{server.address}: {error}") from None


@contextlib.contextmanager
def _deleted_on_failure(target: DeploymentTarget, version: int) -> Iterator[None]:
    """Deletes the version again when the release fails, unless it could score before or the record names it now."""
    ready = {number for number, there in target.server.registered().items() if there.ready}
    try:
        yield
    except BaseException:
        with contextlib.suppress(OperationsError):
            record = read_record(target.store)
            if version not in ready | set(record.required_versions if record else ()):
                target.server.delete(version)
        raise
