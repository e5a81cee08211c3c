"""Which version a stack that starts must serve, and how it gets one: from the record, MODEL_PATH, or by training.

What it trains runs as a process of its own, with the mark of the stack: what is killed with the stack is found again.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from operations.errors import OperationsError
from operations.files.durable import LockHeld
from operations.history.load import lacks_simulated_past
from operations.history.redis_access import Interrupted
from operations.keeper import loading_lease
from operations.network.endpoints import history_key
from operations.processes.console_log import log
from operations.processes.daemon_thread import run_in_daemon_thread
from operations.processes.supervisor import describe_status, start_tied, terminate_process
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.release import abort_trial, release
from operations.settings import ControllerSettings
from operations.store import journal
from operations.store.registry import Registry
from operations.store.release_record import read_record
from releases.record import FILE_NAME

T = TypeVar("T")
RELEASED = ("released", "promoted", "rolled_back", "took_over")
"""The events of the journal by which some version was live."""
POLL_SECONDS = 0.1
"""Seconds."""
LEASE_TIMEOUT = 3.0
"""Seconds that a release waits until gateways can know of the past; without Redis there is none to wait for."""
REDIS_TIMEOUT = 20.0
"""Seconds that Redis, which starts beside this, may take to answer before the past is given up."""


async def ensure_released(
    settings: ControllerSettings, find_target: Callable[[], DeploymentTarget | None], mark: Mapping[str, str]
) -> int:
    """Releases a version unless one is live, loads the history of the default model, and returns the version.

    Args:
        settings: of the stack or keeper.
        find_target: the model servers that are known at that moment; None without any.
        mark: in the environment of what it starts.

    Raises:
        OperationsError: none can be released, or nobody can know which.
    """
    version, is_live = await choose_version(settings, mark)
    async with loading_history(settings, version, mark):
        while not is_live and not _is_released(settings, version):
            target = find_target()
            if target is not None:
                is_answering = await run_in_daemon_thread(partial(any_server_answers, target))
                is_live = is_answering and await make_live(target, version)
            await asyncio.sleep(POLL_SECONDS)
    return version


async def choose_version(settings: ControllerSettings, mark: Mapping[str, str]) -> tuple[int, bool]:
    """Which version is to be live, trained where the store is empty, and whether it is that already.

    Raises:
        OperationsError: there is none, or nobody can know which.
    """
    registry = Registry(settings.paths.store)
    live = read_record(registry.root)
    if live and settings.version in (None, live.version):
        return live.version, True
    if live and settings.version == live.instead_of:
        log.info(
            f"version {live.version} took over from version {live.instead_of}, which MODEL_PATH names, and stays live"
        )
        return live.version, True
    if live is None and settings.version is None:
        _refuse_to_guess(registry)
    version = settings.version or _newest(registry)
    if version is None:
        log.info("the model store is empty: training the default model on simulated transactions (about a minute)")
        version = await train(settings, mark)
    return version, False


def _is_released(settings: ControllerSettings, version: int) -> bool:
    """Whether what was to be released is, or a person has meanwhile released something else."""
    record = read_record(settings.paths.store)
    return record is not None and (settings.version is None or record.version == version)


def any_server_answers(target: DeploymentTarget) -> bool:
    """Whether a model server answers: each was started a moment ago, and a release waits for those that are late."""
    return any(one.server.is_reachable() for one in target.single_servers)


async def make_live(target: DeploymentTarget, version: int) -> bool:
    """Releases it, for it was asked for by name or is the first; False where another release or load runs just now.

    Raises:
        OperationsError: it cannot be released.
    """
    try:
        await run_in_daemon_thread(partial(_end_other_trial, target, version))
        await run_in_daemon_thread(partial(release, target, version, log.info, accept_shift=True))
    except LockHeld:
        return False
    return True


def _refuse_to_guess(registry: Registry) -> None:
    """A store in which versions were released has lost its record: the newest need not be the one that was live.

    Raises:
        OperationsError: it has.
    """
    if any(event.get("event") in RELEASED for event in journal.events(registry.root)):
        raise OperationsError(
            f"{registry.root / FILE_NAME} is gone, and versions were released before: put it back from a backup, or "
            f"say which version shall be live: MODEL_PATH={registry.root}/fraud-VERSION.mar"
        )


def _end_other_trial(target: DeploymentTarget, version: int) -> None:
    """A trial would keep another version from being released, and nobody could end it before the stack runs."""
    record = read_record(target.store)
    if record and record.trial and record.trial.version != version:
        log.info(f"the trial of version {record.trial.version} ends, since MODEL_PATH names version {version}")
        abort_trial(target, "MODEL_PATH names another version", lambda _: None, of=record.trial)


def _newest(registry: Registry) -> int | None:
    return max((entry.version for entry in registry.entries()), default=None)


@asynccontextmanager
async def loading_history(settings: ControllerSettings, version: int, mark: Mapping[str, str]) -> AsyncIterator[None]:
    """Loads the history of the default model while the block runs, unless Redis has it, or there is no Redis.

    The block begins once the loading lease is taken, so that gateways wait for the history; a failure is logged.
    """
    lease_taken = asyncio.Event()
    loading = asyncio.create_task(_load_history(settings, version, mark, lease_taken))
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(lease_taken.wait(), LEASE_TIMEOUT)
        yield
        await loading
    finally:
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)


async def _load_history(
    settings: ControllerSettings, version: int, mark: Mapping[str, str], lease_taken: asyncio.Event
) -> None:
    try:
        redis = settings.redis
        if redis is None:
            return
        store, key = settings.paths.store, history_key(settings.paths, redis)
        is_lacking = partial(lacks_simulated_past, store, redis["REDIS_URL"], key, version)
        if not await retry_until_redis_answers(is_lacking):
            return
        began = time.monotonic()
        async with loading_lease.hold_lease(redis["REDIS_URL"]):
            lease_taken.set()
            load = ("history", "load", "--simulator", "--version", str(version))
            await run_fraud_command(settings, {**mark, **redis}, *load)
        log.info(f"the default model has its simulated past ({time.monotonic() - began:.1f} s)")
    except OperationsError as error:
        log.info(f"the past of the default model was not loaded, scores are of a short memory: {error}")
    finally:
        lease_taken.set()


async def retry_until_redis_answers(act: Callable[[], T]) -> T:
    """The result of a call to Redis, which is retried while a Redis that is starting does not answer.

    Raises:
        Interrupted: it does not for REDIS_TIMEOUT.
    """
    until = time.monotonic() + REDIS_TIMEOUT
    while True:
        try:
            return await run_in_daemon_thread(act)
        except Interrupted:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(POLL_SECONDS)


async def train(settings: ControllerSettings, mark: Mapping[str, str]) -> int:
    """Trains the default model on simulated transactions, and says which version it is.

    Raises:
        OperationsError: no model came of it.
    """
    registry = Registry(settings.paths.store)
    before = _newest(registry)
    await run_fraud_command(settings, mark, "train", "--no-hint")
    newest = _newest(registry)
    if newest is None or newest == before:
        raise OperationsError(f"no model came into {registry.root}; see above")
    return newest


async def run_fraud_command(settings: ControllerSettings, mark: Mapping[str, str], *arguments: str) -> None:
    """Runs a `fraud` command as a process of its own, on this terminal: torch stays out of this one.

    Args:
        settings: the directory, the store and the environment.
        mark: of the stack, by which its processes are known.
        arguments: the command's.

    Raises:
        OperationsError: it failed; it has said why itself.
    """
    process = await start_tied(
        *(sys.executable, "-m", "operations", *arguments),
        env={**settings.env, **mark, "MODEL_PATH": str(settings.paths.store)},
        directory=settings.paths.root,
    )
    try:
        status = await process.wait()
    finally:
        await terminate_process(process, kill_seconds=2.0)
    if status:
        raise OperationsError(f"`fraud {arguments[0]}` failed ({describe_status(status)}); see above")
