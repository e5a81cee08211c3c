"""The load generator as a process that is driven: it warms up, is told when to begin, and says what came."""

import json
import math
import select
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

import numpy as np

from benchmarks.comparison.load_generator import LoadSpec, LoadTotals
from benchmarks.comparison.results import Measurement
from benchmarks.comparison.systems import BARE
from benchmarks.comparison.versions import ROOT

GENERATOR_SECONDS = 150.0
"""After which a load generator that says nothing is ended: longer than any request may take."""
COMMAND = (sys.executable, "-m", "benchmarks.comparison.load_generator")


class LoadFailedError(Exception):
    """The load generator failed, or a system gave no good answer."""


class LoadGenerator:
    """One load, which has warmed up once it is entered."""

    def __init__(self, spec: LoadSpec) -> None:
        """Starts nothing yet."""
        self._spec = spec

    def __enter__(self) -> Self:
        """Starts it and waits until it has warmed up.

        Raises:
            LoadFailedError: it does not.
        """
        self._process = subprocess.Popen(
            COMMAND, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            self._write(json.dumps(asdict(self._spec)))
            self._line()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it."""
        self._process.kill()
        self._process.communicate()

    def measure(self) -> LoadTotals:
        """Lets it send, and returns what came.

        Raises:
            LoadFailedError: it ended, or said nothing for too long.
        """
        self._write("go")
        fields: dict[str, Any] = json.loads(self._line())
        uploads = fields.pop("uploads")
        return LoadTotals(**fields, uploads=LoadTotals(**uploads) if uploads else None)

    def _write(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout
        is_there = select.select([self._process.stdout], [], [], GENERATOR_SECONDS)[0]
        line = self._process.stdout.readline() if is_there else ""
        if not line:
            self._process.kill()
            raise LoadFailedError(f"the load generator failed: {self._process.communicate()[1][-300:]}")
        return line


def measurement(totals: LoadTotals, system: str, workload: str, number: int, rows: int) -> Measurement:
    """What came of a load, as it is kept."""
    times = totals.milliseconds or [math.nan]
    beside = totals.uploads
    return Measurement(
        system=system,
        workload=workload,
        round=number,
        requests=sum(totals.statuses.values()),
        good=totals.good,
        rows=rows,
        seconds=totals.seconds,
        p50=float(np.percentile(times, 50)),
        p99=float(np.percentile(times, 99)),
        statuses=totals.statuses,
        degraded=totals.degraded,
        wrong=totals.wrong,
        client_cpu=totals.cpu_seconds,
        uploads={**beside.statuses, "degraded": beside.degraded} if beside else {},
    )


def bare_measurement(workload: str, number: int, figures: Mapping[str, float], rows: int) -> Measurement:
    """What the bare limit printed, as it is kept: a request is a file, or a transaction."""
    rate = figures["rows_per_second"] / rows
    each = 1e3 / rate
    cpu = {"bare limit": figures["cpu_seconds_per_request"] * 1000}
    return Measurement(BARE, workload, number, 1000, 1000, rows, 1000 / rate, each, each, {"200": 1000}, cpu=cpu)
