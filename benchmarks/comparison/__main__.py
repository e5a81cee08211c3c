"""The command: `python -m benchmarks.comparison [--ours] [--quick] [--only NAME ...] [--minutes N]`.

Without options it is `make bench`: under 25 minutes on two processors, then docs/performance.md has the tables.
"""

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

from benchmarks import report
from benchmarks.comparison import inputs, versions
from benchmarks.comparison.inputs import BenchInputs
from benchmarks.comparison.results import BenchResults
from benchmarks.comparison.run import Bench
from benchmarks.comparison.systems import SYSTEMS, System
from benchmarks.comparison.workloads import QUICK, Sizes

MINUTES, OUR_MINUTES = 23.0, 4.5
OUR_SIZES = Sizes(seconds=2.0, beside_seconds=5.0, settle_seconds=3.0, rounds=1, heavy_rounds=1)


def main() -> None:
    """Measures, and writes results and page."""
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    systems = [system for system in SYSTEMS if _is_chosen(system, options)]
    sizes = QUICK if options.quick else OUR_SIZES if options.ours else Sizes()
    sizes = replace(sizes, rounds=options.rounds or sizes.rounds)
    results = BenchResults.new({"sizes": asdict(sizes), "systems": [system.name for system in systems]})
    deadline = time.monotonic() + 60 * (options.minutes or (OUR_MINUTES if options.ours else MINUTES))
    with _scratch() as folder, contextlib.suppress(KeyboardInterrupt):
        say("training both versions, unless they are there (a minute the first time) ...")
        history, plain = versions.trained()
        rows = inputs.transactions(sizes.file_bytes)
        bench = Bench(BenchInputs(rows, history, plain, folder, sizes), results, deadline, say)
        bench.run(systems, with_bare=not options.only)
        results = replace(results, is_whole=True)
    file = results.save()
    print(report.as_text(results))
    say(f"results: {file}")
    if options.page:
        report.write_page(results)
        say(f"written into {report.PAGE}")
    sys.exit(bool(results.failures) or not results.is_whole)


def say(line: str) -> None:
    """Prints a line at once."""
    print(line, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", action="store_true", help="this service and the bare limit alone: under five minutes")
    parser.add_argument("--quick", action="store_true", help="to see that all runs; the figures mean nothing")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="the systems whose names begin so")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0.0, help="after which what is left is left out")
    parser.add_argument("--page", action="store_true", help="write the tables into docs/performance.md")
    return parser.parse_args()


def _is_chosen(system: System, options: argparse.Namespace) -> bool:
    if options.only:
        return any(system.name.lower().startswith(name.lower()) for name in options.only)
    return system.is_ours or not options.ours


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A directory with a short path, for servers keep sockets in it."""
    with tempfile.TemporaryDirectory(prefix="fb-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    main()
