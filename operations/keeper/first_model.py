"""Which version a stack that starts must serve, and how it gets one: from the record, MODEL_PATH, or by training.

What it trains runs as a process of its own, with the mark of the stack: what is killed with the stack is found again.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping

from operations import journal
from operations.durable import Busy
from operations.errors import OperationsError
from operations.processes import tether
from operations.processes.supervisor import end, meaning
from operations.rollout.loading import Place
from operations.rollout.release import abort_trial, release
from operations.settings import Settings
from operations.store.record import recorded

RELEASED = ("released", "promoted", "rolled_back", "took_over")
"""The events of the journal by which some version was live."""


async def ensure(settings: Settings, place: Place, mark: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Sees to it that a version is released, and says which; the reconciler loads one that was released before.

    Raises:
        OperationsError: none can be released.
    """
    live = recorded(place.registry.root)
    if live and settings.version in (None, live.version):
        return live.version
    if live and settings.version == live.instead_of:
        say(f"version {live.version} took over from version {live.instead_of}, which MODEL_PATH names, and stays live")
        return live.version
    if live is None and settings.version is None:
        _refuse_to_guess(place)
    wanted = settings.version or _newest(place) or await _first(settings, place, mark, say)
    await _answering(place)
    await _release(place, wanted, say)
    return wanted


async def _release(place: Place, version: int, say: Callable[[str], None]) -> None:
    """Releases it, for it was asked for by name or is the first; the reconciler may be loading another meanwhile."""
    while True:
        try:
            await asyncio.to_thread(_end_other_trial, place, version, say)
            await asyncio.to_thread(release, place, version, say, accept_shift=True)
        except Busy:
            await asyncio.sleep(0.1)
        else:
            return


def _refuse_to_guess(place: Place) -> None:
    """A store in which versions were released has lost its record: the newest need not be the one that was live.

    Raises:
        OperationsError: it has.
    """
    if any(event.get("event") in RELEASED for event in journal.events(place.registry.root)):
        raise OperationsError(
            f"{place.record} is gone, and versions were released before: put it back from a backup, or say which "
            f"version shall be live: MODEL_PATH={place.registry.root}/fraud-VERSION.mar"
        )


def _end_other_trial(place: Place, version: int, say: Callable[[str], None]) -> None:
    """A trial would keep another version from being released, and nobody could end it before the stack runs."""
    record = recorded(place.registry.root)
    if record and record.trial and record.trial.version != version:
        say(f"the trial of version {record.trial.version} ends, since MODEL_PATH names version {version}")
        abort_trial(place, "MODEL_PATH names another version", lambda _: None, of=record.trial)


def _newest(place: Place) -> int | None:
    return max((entry.version for entry in place.registry.entries()), default=None)


async def _first(settings: Settings, place: Place, mark: Mapping[str, str], say: Callable[[str], None]) -> int:
    say("the model store is empty: training the default model on simulated transactions (about a minute)")
    return await train(settings, place, mark)


async def train(settings: Settings, place: Place, mark: Mapping[str, str]) -> int:
    """Trains the default model on simulated transactions, and says which version it is.

    Raises:
        OperationsError: no model came of it.
    """
    before = _newest(place)
    await fraud(settings, mark, "train", "--no-hint")
    newest = _newest(place)
    if newest is None or newest == before:
        raise OperationsError(f"no model came into {place.registry.root}; see above")
    return newest


async def fraud(settings: Settings, mark: Mapping[str, str], *arguments: str) -> None:
    """Runs a `fraud` command as a process of its own, on this terminal: torch stays out of this one.

    Args:
        settings: the directory, the store and the environment.
        mark: of the stack, by which its processes are known.
        arguments: the command's.

    Raises:
        OperationsError: it failed; it has said why itself.
    """
    root = settings.layout.root
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", tether.__file__, str(os.getpid())),
        *(sys.executable, "-m", "operations", *arguments),
        env={**settings.outside, **mark, "MODEL_PATH": str(settings.layout.store)},
        cwd=root,
        start_new_session=True,
    )
    try:
        status = await process.wait()
    finally:
        await end(process, grace=2.0)
    if status:
        raise OperationsError(f"`fraud {arguments[0]}` failed ({meaning(status)}); see above")


async def _answering(place: Place) -> None:
    """Waits for the model server's first answer: it was started a moment ago."""
    while not await asyncio.to_thread(place.server.answers):  # noqa: ASYNC110 - no event tells of another process
        await asyncio.sleep(0.1)
