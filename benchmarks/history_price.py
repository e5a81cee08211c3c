"""What history costs Redis: processor time and memory a transaction, with the default model's windows.

`python -m benchmarks.history_price [ROWS]` starts a Valkey of its own in a scratch directory and enters transactions of
the simulator as a gateway does (BatchSession, the pipeline, the values and answers that are stored, the recovery of
journals): one file of ROWS (134,847), 2,000 files of 60 rows, and 20,000 single ones, each on an emptied Valkey. It
prints processor time of Valkey and of this process a row, bytes a row, the longest script, and the processor time by
command. Processor time, not wall time: other work on the machine does not count, but shares the caches.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from redis import Redis

from contract.table import Table
from gateway.history.pipeline import BatchPipeline
from history.journal import RECOVER
from history.keyed_hash import FORMAT_KEY, KEY_CHECK, HistoryKey
from history.plan import Plan
from history.redis_schema import ANSWERS, MERGE, STORE_VALUES, encode_answers
from history.session import BatchSession, HistoryOptions
from operations.local import valkey
from tests.valkey import Valkey, running
from training.schema import load_schema
from training.simulator import Simulation, simulate

FILE_ROWS, SMALL_FILES, SMALL_FILE_ROWS, SINGLES = 134_847, 2_000, 60, 20_000
DAY = 86_400
KEY = HistoryKey([bytes(32)])
SCHEMA = Path(valkey.__file__).parents[2] / "training/default_schema.toml"
OPTIONS = HistoryOptions(record=True, known_seconds=30 * DAY, values_seconds=DAY, key=KEY)


class BatchSender:
    """Enters batches, as a gateway does without its event loop."""

    def __init__(self, redis: Redis, plan: Plan) -> None:
        self._redis, self._plan = redis, plan
        self._pipeline = BatchPipeline(redis, KEY)

    def enter(self, table: Table, ids: Sequence[str]) -> None:
        """One batch, with its values and answers."""
        session = BatchSession(self._plan, table, ids, OPTIONS, time.time())
        if session.large:
            reads = self._pipeline.read(session)
            session.prepare()
            session.receive_states(reads)
        self._pipeline.enter(session)
        if arguments := session.store_arguments(session.values()):
            self._pipeline.scripts(STORE_VALUES, [arguments])
        if arguments := session.merge_arguments():
            self._pipeline.scripts(MERGE, [arguments])
        answers = encode_answers(np.zeros(table.rows, dtype=np.bool_), np.ones(table.rows, dtype=np.int64))
        self._redis.set(ANSWERS + session.block_id, answers, ex=OPTIONS.known_seconds)

    def recover(self) -> None:
        """Finishes all journals, as the background of a gateway does."""
        while self._pipeline.scripts(RECOVER, [(int(time.time()) + DAY,)]) != [0]:
            pass


def main(file_rows: int) -> None:
    """Measures and prints."""
    table, ids = transactions(max(file_rows, SMALL_FILES * SMALL_FILE_ROWS))
    plan = Plan.of([load_schema(SCHEMA).contract({})])
    assert plan
    cases = {
        f"one file of {file_rows:,} rows": [slice(0, file_rows)],
        f"{SMALL_FILES:,} files of {SMALL_FILE_ROWS} rows": slices(SMALL_FILES, SMALL_FILE_ROWS),
        f"{SINGLES:,} single rows": slices(SINGLES, 1),
    }
    for title, batches in cases.items():
        with tempfile.TemporaryDirectory() as scratch, running(Path(scratch)) as server, client_of(server) as redis:
            print(f"\n{title}")
            measure(redis, BatchSender(redis, plan), [(part(table, each), ids[each]) for each in batches])


@contextlib.contextmanager
def client_of(server: Valkey) -> Iterator[Redis]:
    """A client of a Valkey that has the key, notes slow commands, and has memory enough."""
    with contextlib.closing(Redis.from_url(server.url)) as redis:
        redis.mset({KEY_CHECK: KEY.check, FORMAT_KEY: "3"})
        redis.config_set("slowlog-log-slower-than", 1_000)
        redis.config_set("maxmemory", "4gb")
        yield redis


def measure(redis: Redis, sender: BatchSender, batches: Sequence[tuple[Table, Sequence[str]]]) -> None:
    """Enters the batches into an empty Redis and prints what they cost."""
    rows = sum(table.rows for table, _ in batches)
    memory, cpu, own = used(redis), processor(redis), time.process_time()
    for table, ids in batches:
        sender.enter(table, ids)
    own = time.process_time() - own
    sender.recover()
    microseconds = 1e6 / rows
    print(f"  Valkey {(processor(redis) - cpu) * microseconds:.1f} us, this process {own * microseconds:.1f} us a row")
    print(f"  {(used(redis) - memory) / rows:.0f} bytes a row")
    for name, calls, spent, longest in sorted(commands(redis), key=lambda each: -each[2])[:8]:
        print(f"  {name:<12} {calls:>8,} calls, {spent * microseconds:6.2f} us a row, longest seen {longest:.1f} ms")


def commands(redis: Redis) -> Iterator[tuple[str, int, float, float]]:
    """Each command: its name, how often it was called, its seconds in all and, where it was slow, its longest ms."""
    stats: Any = redis.info("commandstats")
    slow: Any = redis.slowlog_get(1_000)
    for name, fields in stats.items():
        command = name.removeprefix("cmdstat_")
        longest = max(
            (each["duration"] for each in slow if each["command"].lower().startswith(command.encode())), default=0
        )
        yield command, fields["calls"], fields["usec"] / 1e6, longest / 1e3


def used(redis: Redis) -> int:
    """Bytes of memory in use, without scripts and the buffers of connections and of the append-only file."""
    redis.execute_command("SCRIPT", "FLUSH", "SYNC")  # type: ignore[no-untyped-call]
    memory: Any = redis.info("memory")
    return int(memory["used_memory"] - memory["mem_clients_normal"] - memory["mem_aof_buffer"])


def processor(redis: Redis) -> float:
    """Seconds of processor time of Valkey, all of its threads."""
    cpu: Any = redis.info("cpu")
    return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])


def transactions(rows: int) -> tuple[Table, list[str]]:
    """Transactions of the simulator, in order of time, the last one now; and their ids."""
    days = 1 + rows * Simulation().days // 250_000
    frame = simulate(Simulation(days=days)).head(rows)
    assert len(frame) == rows
    seconds = frame["timestamp"].to_numpy("datetime64[s]").astype(np.float64)
    columns: dict[str, Any] = {"timestamp": seconds + np.floor(time.time() - seconds.max())}
    columns["amount"] = frame["amount"].to_numpy(np.float64)
    columns |= {name: frame[name].to_numpy(object) for name in ("customer_id", "terminal_id", "channel")}
    return Table(columns, np.arange(1, rows + 1)), [str(each) for each in frame["transaction_id"]]


def part(table: Table, rows: slice) -> Table:
    """Some rows of a table."""
    return Table({name: values[rows] for name, values in table.columns.items()}, table.row_numbers[rows])


def slices(count: int, rows: int) -> list[slice]:
    """Batches of as many rows each."""
    return [slice(at * rows, at * rows + rows) for at in range(count)]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else FILE_ROWS)
