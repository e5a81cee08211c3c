"""`fraud history load`: past transactions into Redis, so that a version's history features begin with a past.

The file is read whole first: what is at fault refuses it before anything is loaded. Then it enters step by step; while
Redis does one, the next is worked out. A load that was cut off, whatever by, goes on behind its last step.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError

from environment.redis_client import connect
from history.keyed_hash import HistoryKey
from history.plan import Plan
from history.redis_schema import ENTER
from operations.errors import OperationsError
from operations.history.agreed import agree
from operations.history.past import ParsedFile, ProgressCallback
from operations.history.plans import PlanLayouts
from operations.history.progress import Progress, key_of
from operations.history.step import Arguments, Step
from operations.history.steps import Steps

TIMEOUT_SECONDS = 10.0
"""Seconds for one answer; a step takes about 0.01 s."""
DONE_SECONDS = 400 * 86_400
"""How long it is known that a file is loaded."""

AGAIN = "What is loaded stays; the same command goes on behind it"


class Interrupted(OperationsError):
    """Redis was gone in the middle; the same command goes on."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did.

    Attributes:
        rows: transactions that it went through; 0 where all were loaded before.
        known: those that counted already, in some state at least, and were not counted there again.
        doubted: those of them that entered by a plan of versions that are in the store no more: nothing was added.
        resumed: whether it went on where another run had ended.
        seconds: it took.
    """

    rows: int
    known: int
    doubted: int
    resumed: bool
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where transactions are loaded into.

    Attributes:
        url: of Redis.
        plan: what is kept there.
        counted: in which states known transactions count.
        known_seconds: how long a transaction is known by its id.
        key: what ids and entities are hashed with there.
    """

    url: str
    plan: Plan
    counted: PlanLayouts
    known_seconds: float
    key: HistoryKey


def load(target: Target, found: ParsedFile, told: ProgressCallback) -> LoadResult:
    """Loads what a file holds; `told` hears how many steps are done.

    Raises:
        Interrupted: Redis does not answer, or is full.
        OperationsError: another load of this file runs, or what Redis holds is of another key.
    """
    began = time.monotonic()
    key = key_of(found.sha256, target.plan, target.key)
    with connected(target.url) as redis:
        agree(redis, target.key)
        before = _progress(redis, key)
        past = found.past
        if past is None or (before and before.done):
            redis.expire(key, DONE_SECONDS)
            return LoadResult(0, 0, 0, resumed=False, seconds=time.monotonic() - began)
        horizon = before.horizon if before else past.newest - target.known_seconds
        steps = Steps(target.plan, past, horizon, target.counted.missing, target.key)
        progress = before or Progress(key, horizon, 0, len(steps))
        run = _Run(redis, target.key.guarded(ENTER), told)
        run.through(steps, progress, before.to_bytes() if before else b"")
        redis.expire(key, DONE_SECONDS)
    return LoadResult(past.rows, run.known, run.doubted, before is not None, time.monotonic() - began)


def is_loaded(url: str, plan: Plan, sha256: str, key: HistoryKey) -> bool:
    """Whether all of a file is loaded; what tells of it is kept for longer then.

    Raises:
        Interrupted: Redis does not answer.
        OperationsError: what Redis holds is of another key.
    """
    name = key_of(sha256, plan, key)
    with connected(url) as redis:
        agree(redis, key)
        progress = _progress(redis, name)
        if progress and progress.done:
            redis.expire(name, DONE_SECONDS)
        return progress is not None and progress.done


def _progress(redis: Redis, key: bytes) -> Progress | None:
    text = redis.get(key)
    return Progress.from_bytes(key, text) if isinstance(text, bytes) else None


class _Run:
    """One run through steps."""

    def __init__(self, redis: Redis, enter: str, told: ProgressCallback) -> None:
        self._told = told
        self._enter = enter
        self._sha = redis.script_load(enter)
        self._connection = redis.connection_pool.get_connection()
        self.known, self.doubted = 0, 0

    def through(self, steps: Steps, progress: Progress, stands: bytes) -> None:
        """Does all that are left; `stands` is what Redis holds of the progress.

        While Redis does a step, the next one is worked out: in one thread, for each answer would have to wait for
        another one's lock on the interpreter.
        """
        begun: _Begun | None = None
        while not progress.done:
            step, after = steps[progress.step], progress.after()
            if begun:
                self._end(begun)
            self._told(progress.step, progress.steps)
            begun = self._begin(step, (progress.key, stands, after.to_bytes()))
            progress, stands = after, after.to_bytes()
        if begun:
            self._end(begun)
        self._told(progress.steps, progress.steps)

    def _begin(self, step: Step, moves: Arguments) -> "_Begun":
        if looks := step.looks():
            self._send(looks)
            step.take_looks(self._reply(looks))
        begun = _Begun(step, (*step.entry(), *moves), moves)
        self._send(begun.arguments)
        return begun

    def _end(self, begun: "_Begun") -> None:
        """Waits until a step is done.

        Raises:
            OperationsError: another load has done it.
        """
        arguments = begun.arguments
        while not begun.step.take(self._moved(self._reply(arguments))):
            arguments = (*begun.step.entry(), *begun.moves)
            self._send(arguments)
        self.known += begun.step.known
        self.doubted += begun.step.doubted

    def _moved(self, reply: Sequence[bytes]) -> Sequence[bytes]:
        if reply[0] == b"moved":
            raise OperationsError("another load of these transactions runs: wait until it has ended")
        return reply

    def _send(self, arguments: Arguments) -> None:
        self._connection.send_command("EVALSHA", self._sha, 0, *arguments)  # type: ignore[no-untyped-call]

    def _reply(self, arguments: Arguments) -> Sequence[bytes]:
        try:
            reply: Any = self._connection.read_response()  # type: ignore[no-untyped-call]
        except NoScriptError:  # Somebody has had its scripts forgotten.
            self._connection.send_command("EVAL", self._enter, 0, *arguments)  # type: ignore[no-untyped-call]
            reply = self._connection.read_response()  # type: ignore[no-untyped-call]
        found: Sequence[bytes] = reply
        return found


@dataclass(frozen=True, slots=True)
class _Begun:
    """A step that Redis is at: the arguments of its call, of which the last three are of progress."""

    step: Step
    arguments: Arguments
    moves: Arguments


@contextlib.contextmanager
def connected(url: str) -> Iterator[Redis]:
    """A client that waits for answers.

    Raises:
        Interrupted: Redis does not answer, or is full.
    """
    try:
        with connect(url, TIMEOUT_SECONDS) as client:
            yield client
    except OutOfMemoryError:
        raise Interrupted(f"Redis is full: give it more memory (docs/runbook.md says how much). {AGAIN}") from None
    except (RedisError, OSError, ValueError) as error:
        raise Interrupted(f"Redis does not answer ({type(error).__name__}). {AGAIN}") from None
