"""How fast `fraud history load` is, and what it takes of Redis' memory: the Handbook's windows on its transactions.

`python -m benchmarks.history_load [DAYS]` writes the last DAYS (37) days of the shared data set to a CSV file, starts a
Valkey of its own in a scratch directory, loads the file as the command does, and prints rows per second, the mean
call of the script, and bytes for each entity and transaction (MEMORY USAGE).

On two cores that others used too: 354,259 rows, all of them within the windows, 287,055 of them known by their ids
afterwards: 118,000 to 138,000 rows a second (read in 0.9 to 1.0 s, loaded in 1.6 to 2.0 s), 7.1 to 7.7 ms for each
call of the script; 1,800 bytes a customer, 690 a terminal, 137 a known transaction; 65 MB in all.
"""

import contextlib
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import cast

from pyarrow import compute, csv, parquet
from redis import Redis

from benchmarks.history_table import TRANSACTIONS, twelve
from history.keyed_hash import HistoryKey
from history.plan import Plan
from operations.history import load, past_file
from operations.history.load import LoadTarget
from tests.valkey import running

KNOWN = 30 * 86_400
LOOKED_AT = 500
KEY = HistoryKey([bytes(32)])


def main(days: int) -> None:
    """Measures and prints."""
    contract = twelve()
    plan = Plan.of([contract])
    assert plan
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "past.csv"
        write(file, days)
        with running(Path(scratch)) as valkey, contextlib.closing(Redis.from_url(valkey.url)) as client:
            began, cpu = time.perf_counter(), time.process_time()
            result = past_file.read(contract, plan, file, quiet)
            read = time.perf_counter()
            target = LoadTarget(valkey.url, plan, KNOWN, KEY)
            loaded = load.load(target, result, quiet)
            ended, cpu = time.perf_counter(), time.process_time() - cpu
            print(f"{result.rows:,} rows read in {read - began:.2f} s, {loaded.rows:,} loaded in {ended - read:.2f} s")
            print(f"{result.rows / (ended - began):,.0f} rows/s; {cpu:.2f} s of this process' processor time")
            show(client, plan)


def write(file: Path, days: int) -> None:
    """Writes the newest transactions."""
    table = parquet.read_table(TRANSACTIONS)
    seconds = table["TX_DATETIME"].cast("timestamp[s]")
    newest = compute.max(seconds).as_py()
    names = twelve().names
    table = table.set_column(table.column_names.index("TX_DATETIME"), "TX_DATETIME", seconds)
    chosen = compute.greater_equal(seconds, newest - timedelta(days=days))
    csv.write_csv(table.filter(chosen).select([n for n in table.column_names if n in names]), file)


def show(client: Redis, plan: Plan) -> None:
    """Prints what Redis says of it."""
    stats = client.info("commandstats")["cmdstat_evalsha"]  # type: ignore[index]
    print(f"a call of the script takes Redis {stats['usec_per_call'] / 1e3:.1f} ms, {stats['usec'] / 1e6:.2f} s in all")
    for layout in plan.layouts:
        keys = [key for key in client.scan_iter(b"fraud:h:*", 10_000) if key[8:16] == layout.digest]
        sizes = [cast("int", client.strlen(key)) for key in keys[:LOOKED_AT]]
        print(
            f"{len(keys):,} states of {layout.entity}, {layout.dtype.itemsize} bytes a record: "
            f"{memory_of(client, keys):,.0f} bytes of memory each, "
            f"{statistics.mean(sizes):,.0f} of records"
        )
    keys = list(client.scan_iter(b"fraud:t:*", 10_000))
    memory = memory_of(client, keys)
    used = client.info("memory")["used_memory"]  # type: ignore[index]
    print(f"{len(keys):,} known transactions: {memory:,.0f} bytes of memory each; {used / 1e6:,.0f} MB in all")


def memory_of(client: Redis, keys: list[bytes]) -> float:
    """Bytes of memory that one of these keys takes, on average."""
    return statistics.mean(cast("int", client.memory_usage(key)) for key in keys[:LOOKED_AT])


def quiet(done: int, whole: int) -> None:
    """Hears nothing."""


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 37)
