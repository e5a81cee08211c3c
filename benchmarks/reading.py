"""Reading a CSV upload: our reader beside pandas' C parser, in turn, in one process.

`python -m benchmarks.reading` prints, for files of 1 to 100,000 transactions, the median milliseconds of each and the
median of their ratio pair by pair. pandas only parses cells and dates here; ours also finds every fault by row and
column, which pandas leaves to a second pass.
"""

import io
import statistics
import time
from collections.abc import Callable

import pandas as pd

from contract.schema import Kind
from contract.table import read_csv
from training.schema import DEFAULT, load_schema
from training.simulator import Simulation, simulate

RUNS = 15
SIZES = (1, 100, 1_000, 20_000, 100_000)


def main() -> None:
    """Measures and prints."""
    contract = load_schema(DEFAULT).contract({})
    numbers = {column.name for column in contract.inputs if column.kind is Kind.NUMBER}
    text = {column.name: str for column in contract.inputs if column.name not in numbers}

    def by_pandas(body: bytes) -> None:
        frame = pd.read_csv(io.BytesIO(body), dtype=text, keep_default_na=False, index_col=False)
        frame["timestamp"] = pd.to_datetime(frame["timestamp"], format="ISO8601")

    print(f"{'rows':>8} {'ours, ms':>10} {'pandas, ms':>11} {'ratio':>6}")
    transactions = simulate(Simulation()).drop(columns="is_fraud")
    for rows in SIZES:
        body = transactions.head(rows).to_csv(index=False).encode()
        ours, theirs = _in_turn(lambda body=body: read_csv(contract, body), lambda body=body: by_pandas(body))  # type: ignore[misc] # bound now
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        print(f"{rows:>8} {statistics.median(ours):>10.2f} {statistics.median(theirs):>11.2f} {ratio:>6.2f}")


def _in_turn(first: Callable[[], object], second: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Milliseconds of each run, A B A B: a machine that slows down slows both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(RUNS):
        for run, durations in zip((first, second), times, strict=True):
            started = time.perf_counter()
            run()
            durations.append((time.perf_counter() - started) * 1e3)
    return times


if __name__ == "__main__":
    main()
