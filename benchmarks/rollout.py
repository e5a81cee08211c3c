"""Releases and rollbacks under a steady load: does anybody notice, and how long does a switch take?

`python -m benchmarks.rollout [VERSION]`, in the directory where `fraud up` runs: releases a version (without one, that
to which `fraud rollback` would go) and rolls back, ten times, while 50 requests a second arrive by the clock. The live
version and this one must take the columns of examples/transactions.csv. The key is API_KEY, or test-key.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import stack
from benchmarks.load import Load, summary
from benchmarks.switches import Request, Switch, violations
from operations.errors import OperationsError
from releases.record import Release

RATE = 50
ROUNDS = 10
FRAUD = Path(sys.executable).parent / "fraud"
FILE_ROWS = 3


def main() -> None:
    """Measures and prints."""
    _, url, live = stack.running_stack()
    with Load(url, stack.example(FILE_ROWS), RATE, os.environ.get("API_KEY", "test-key")) as load:
        switches = list(_switches(live, _other(live)))
    _print(load, live, switches)


def _other(live: Release) -> int:
    version = int(sys.argv[1]) if sys.argv[1:] else live.previous
    if version in {None, live.version}:
        raise OperationsError(f"name a version other than {live.version}, which is live")
    return version or 0


def _switches(live: Release, other: int) -> Iterator[Switch]:
    for number in range(2 * ROUNDS):
        going = number % 2 == 0
        began = time.time()
        subprocess.run([FRAUD, *(("release", str(other)) if going else ("rollback",))], check=True, capture_output=True)
        yield Switch(other if going else live.version, began, time.time())
        time.sleep(0.2)  # Some requests of this version alone.


def _print(load: Load, live: Release, switches: list[Switch]) -> None:
    requests = [Request(each.started, each.ended, each.version or 0) for each in load.answers if each.version]
    print(summary(load.answers))
    for name, some in (("release", switches[::2]), ("rollback", switches[1::2])):
        commands = [each.done - each.began for each in some]
        first = [min(times) - each.began for each in some if (times := _answers_by(requests, each))]
        print(f"{name:<8}  command {_seconds(commands)}  first answer by the new version after {_seconds(first)}")
    result = violations(live.version, switches, requests)
    print("one switch a release, in time order: " + ("proven" if not result else "; ".join(result[:3])))


def _answers_by(requests: list[Request], switch: Switch) -> list[float]:
    return [each.ended for each in requests if each.version == switch.version and each.ended >= switch.began]


def _seconds(values: list[float]) -> str:
    return f"median {statistics.median(values):.2f} s, longest {max(values):.2f} s"


if __name__ == "__main__":
    try:
        main()
    except OperationsError as error:
        sys.exit(f"error: {error}")
