"""`fraud history load`: past transactions into Redis, so that a version's history features begin with a past.

The file is read whole first: what is at fault refuses it before anything is loaded. Then it enters step by step; while
Redis does one, the next is computed. A load that was cut off, whatever by, goes on after its last step.

fraud:load:<file>   how far a load is: written by the script that does a step, in the same moment
"""

import hashlib
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from redis import Redis
from redis.exceptions import NoScriptError

from history.epoch import Epoch, ensure_epoch, extend_epoch, has_served
from history.keyed_hash import HistoryKey
from history.plan import Plan
from history.redis_schema import ENTER, PLANS, Arguments, plan_registration, registered_layouts
from history.session import Reply
from operations.errors import OperationsError
from operations.history.load_steps import LoadSteps, Step
from operations.history.past_transactions import ParsedFile, ProgressCallback
from operations.history.redis_access import connected, require_key
from operations.history.version_history import NoHistory, VersionHistory
from operations.store.release_record import read_record

LOADED_SECONDS = 400 * 86_400
"""For which it is known that a file is loaded."""
PREFIX = b"fraud:load:"
STEPS_VERSION = b"1"
"""Part of the key: a load whose steps are cut in another way must not go on where this one ended."""
_SentStep = tuple[Step, Arguments, Arguments]
"""A step, the arguments of its call, and of these the last three, which are of progress."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did.

    Attributes:
        rows: transactions that it went through; 0 where all were loaded before.
        known: those that counted already, in some state at least, and were not counted there again.
        unresolved: known ones that entered by a plan that is not registered: nothing was added.
    """

    rows: int
    known: int
    unresolved: int
    resumed: bool
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class LoadTarget:
    """Where transactions are loaded into.

    Attributes:
        known_seconds: how long a transaction is known by its id.
    """

    url: str
    plan: Plan
    known_seconds: float
    key: HistoryKey


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far a load is.

    Attributes:
        key: of Redis, under which it stands.
        horizon: the time from which on transactions enter by their ids: that of the first run, for it decides the
            steps of all that follow.
    """

    key: bytes
    horizon: float
    step: int
    steps: int

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.step >= self.steps

    def to_bytes(self) -> bytes:
        """The value of the key."""
        return f"{self.horizon!r} {self.step} {self.steps}".encode()

    @classmethod
    def from_bytes(cls, key: bytes, text: bytes) -> Self:
        """Parses the value of the key.

        Raises:
            ValueError: it is no progress.
        """
        horizon, step, steps = text.split()
        return cls(key, float(horizon), int(step), int(steps))

    @classmethod
    def read(cls, redis: Redis, key: bytes) -> Self | None:
        """That of a load; None where it has not begun."""
        text = redis.get(key)
        return cls.from_bytes(key, text) if isinstance(text, bytes) else None


def progress_key(sha256: str, plan: Plan, key: HistoryKey) -> bytes:
    """The key of a file, by its SHA-256 in hexadecimal, that is loaded into the states of a plan.

    Keyed as ids are: of a file of one row, a hash without a key would tell the row to who can guess it.
    """
    states = b"".join(layout.digest for layout in plan.layouts)
    return PREFIX + key.keyed(hashlib.sha256(STEPS_VERSION + bytes.fromhex(sha256) + states).digest()).hex().encode()


def load(target: LoadTarget, file: ParsedFile, on_progress: ProgressCallback) -> LoadResult:
    """Loads the transactions of a file; `on_progress` is called with the steps that are done, and all of them.

    Raises:
        Interrupted: Redis does not answer, or is full.
        OperationsError: another load of this file runs, or Redis' digests are of another key.
    """
    began = time.monotonic()
    key = progress_key(file.sha256, target.plan, target.key)
    with connected(target.url) as redis:
        require_key(redis, target.key)
        before = LoadProgress.read(redis, key)
        past = file.past
        if past is None or (before and before.done):
            redis.expire(key, LOADED_SECONDS)
            return LoadResult(0, 0, 0, resumed=False, seconds=time.monotonic() - began)
        horizon = before.horizon if before else past.newest - target.known_seconds
        steps = LoadSteps(target.plan, past, horizon, _plans(redis, target.plan), target.key)
        progress = before or LoadProgress(key, horizon, 0, len(steps))
        run = _LoadRun(redis, target.key.guarded(ENTER), on_progress)
        run.complete(steps, progress, before.to_bytes() if before else b"")
        redis.expire(key, LOADED_SECONDS)
    return LoadResult(past.rows, run.known, run.unresolved, before is not None, time.monotonic() - began)


def _plans(redis: Redis, plan: Plan) -> dict[bytes, frozenset[bytes]]:
    """The layouts of each plan by which transactions have entered, as their digests; this one too from now on."""
    for command in plan_registration([plan]):
        redis.execute_command(*command)  # type: ignore[no-untyped-call]
    registered: Any = redis.hgetall(PLANS)  # type: ignore[arg-type]
    return registered_layouts(registered)


def lacks_simulated_past(store: Path, url: str, key: HistoryKey, version: int | None = None) -> bool:
    """Whether a version has history features, was trained on the simulator, and has not got that past.

    Args:
        store: the model store.
        url: of Redis.
        key: what ids and entities are hashed with there.
        version: which; None is the live one.

    Raises:
        Interrupted: Redis does not answer.
        OperationsError: Redis' digests are of another key, no version is live, or its archive cannot be read.
    """
    try:
        history = VersionHistory.of(store, version)
    except NoHistory:
        return False
    return history.simulation is not None and not is_loaded(url, history.plan, str(history.card.data["sha256"]), key)


def is_loaded(url: str, plan: Plan, sha256: str, key: HistoryKey) -> bool:
    """Whether all of a file is loaded; the record of it is kept for longer then.

    Raises:
        Interrupted: Redis does not answer.
        OperationsError: Redis' digests are of another key.
    """
    name = progress_key(sha256, plan, key)
    with connected(url) as redis:
        require_key(redis, key)
        progress = LoadProgress.read(redis, name)
        if progress and progress.done:
            redis.expire(name, LOADED_SECONDS)
        return progress is not None and progress.done


def epoch_before(url: str, store: Path, key: HistoryKey) -> Epoch:
    """The epoch before a load: a Redis that was emptied must not look whole because some of its past is back.

    Raises:
        Interrupted: Redis does not answer, or is full.
        OperationsError: its digests are of another key; while it gets this one, it looks emptied.
    """
    record, now = read_record(store), time.time()
    served = record is not None and has_served(record, now)
    with connected(url) as redis:
        require_key(redis, key)
        return _run_commands(redis, ensure_epoch(None, now, served=served))


def epoch_after(url: str, epoch: Epoch, plan: Plan, file: ParsedFile) -> Epoch:
    """The epoch once all of a file is loaded.

    Raises:
        Interrupted: Redis does not answer, or is full.
    """
    if file.past is None:
        return epoch
    # Of a file that begins earlier, everything is loaded that a window looks at.
    oldest = file.past.newest - plan.seconds if file.older else float(file.past.seconds.min())
    with connected(url) as redis:
        return _run_commands(redis, extend_epoch(epoch, oldest))


def _run_commands(redis: Redis, commands: Generator[Arguments, Any, Epoch]) -> Epoch:
    command = next(commands)
    while True:
        reply = redis.execute_command(*command)  # type: ignore[no-untyped-call]
        try:
            command = commands.send(reply)
        except StopIteration as stop:
            epoch: Epoch = stop.value
            return epoch


class _LoadRun:
    """Does steps one after the other."""

    def __init__(self, redis: Redis, script: str, on_progress: ProgressCallback) -> None:
        self._on_progress = on_progress
        self._script = script
        self._sha = redis.script_load(script)
        self._connection = redis.connection_pool.get_connection()
        self.known, self.unresolved = 0, 0

    def complete(self, steps: LoadSteps, progress: LoadProgress, stored: bytes) -> None:
        """Does all steps that are left; `stored` is the progress as Redis has it.

        While Redis does a step, the next one is computed: in one thread, for each reply would have to wait for another
        one's lock on the interpreter.
        """
        pending: _SentStep | None = None
        while not progress.done:
            step, after = steps[progress.step], replace(progress, step=progress.step + 1)
            if pending:
                self._finish(*pending)
            self._on_progress(progress.step, progress.steps)
            pending = self._start(step, (progress.key, stored, after.to_bytes()))
            progress, stored = after, after.to_bytes()
        if pending:
            self._finish(*pending)
        self._on_progress(progress.steps, progress.steps)

    def _start(self, step: Step, progress: Arguments) -> _SentStep:
        if reads := step.read_arguments():
            self._send(reads)
            step.receive_states(self._reply(reads))
        arguments = (*step.write_arguments(), *progress)
        self._send(arguments)
        return step, arguments, progress

    def _finish(self, step: Step, arguments: Arguments, progress: Arguments) -> None:
        """Waits until a step is done.

        Raises:
            OperationsError: another load has done it.
        """
        while (reply := self._reply(arguments))[0] != b"moved":
            if step.receive_reply(reply):
                break
            arguments = (*step.write_arguments(), *progress)
            self._send(arguments)
        else:
            raise OperationsError("another load of these transactions runs: wait until it has ended")
        self.known += step.known
        self.unresolved += step.unresolved

    def _send(self, arguments: Arguments) -> None:
        self._connection.send_command("EVALSHA", self._sha, 0, *arguments)  # type: ignore[no-untyped-call]

    def _reply(self, arguments: Arguments) -> Reply:
        try:
            reply: Any = self._connection.read_response()  # type: ignore[no-untyped-call]
        except NoScriptError:  # Redis was told to forget its scripts.
            self._connection.send_command("EVAL", self._script, 0, *arguments)  # type: ignore[no-untyped-call]
            reply = self._connection.read_response()  # type: ignore[no-untyped-call]
        checked: Sequence[bytes] = reply
        return checked
