"""What a load says of the past that Redis holds: since when it is whole, and how far back that reaches."""

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from redis import Redis

from history.epoch import Epoch, ensure_epoch, extend_epoch, has_served
from history.keyed_hash import HistoryKey
from history.plan import Plan
from history.redis_schema import Argument
from operations.history.agreed import agree
from operations.history.load import connected
from operations.history.past import ParsedFile
from operations.store.release_record import read_record


def begun(url: str, store: Path, key: HistoryKey) -> Epoch:
    """The epoch before a load: a Redis that was emptied must not look whole because some of its past is back.

    Raises:
        Interrupted: Redis does not answer, or is full.
        OperationsError: what it holds is of another key; while it gets this one, it looks emptied.
    """
    record, now = read_record(store), time.time()
    served = record is not None and has_served(record, now)
    with connected(url) as redis:
        agree(redis, key)
        return _asked(redis, ensure_epoch(None, now, served=served))


def reached(url: str, epoch: Epoch, plan: Plan, found: ParsedFile) -> Epoch:
    """The epoch once all of a file is loaded.

    Raises:
        Interrupted: Redis does not answer, or is full.
    """
    if found.past is None:
        return epoch
    # Of a file that begins earlier all is there that a window looks at.
    oldest = found.past.newest - plan.seconds if found.older else float(found.past.seconds.min())
    with connected(url) as redis:
        return _asked(redis, extend_epoch(epoch, oldest))


def _asked(redis: Redis, asking: Generator[tuple[Argument, ...], Any, Epoch]) -> Epoch:
    command = next(asking)
    while True:
        reply = redis.execute_command(*command)  # type: ignore[no-untyped-call]
        try:
            command = asking.send(reply)
        except StopIteration as stop:
            epoch: Epoch = stop.value
            return epoch
