"""Goes through all systems in turn, several times, and measures each workload.

One server runs at a time, so that none takes of another's processor; rounds follow each other, so that a machine that
slows down slows all. What fails is noted and the run goes on. The whole run has a deadline: what it does not reach is
left out and said.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np

from benchmarks.comparison import answers, bodies, environments, workloads
from benchmarks.comparison.environments import NotInstalledError
from benchmarks.comparison.generator_process import (
    GENERATOR_SECONDS,
    LoadFailedError,
    LoadGenerator,
    bare_measurement,
    measurement,
)
from benchmarks.comparison.inputs import BenchInputs, Templates
from benchmarks.comparison.load_generator import LoadSpec
from benchmarks.comparison.processes import PeakSampler, ServerProcesses
from benchmarks.comparison.results import BenchResults, Measurement
from benchmarks.comparison.servers import ServerContext
from benchmarks.comparison.systems import BARE, FILE_CALL, Call, RequestKind, Server, System
from benchmarks.comparison.versions import ROOT
from benchmarks.comparison.workloads import Workload

START_SECONDS, CHECK_SECONDS, CHECK_PAUSE = 120.0, 60.0, 0.2
WARM_REQUESTS = 40
VISIT_SECONDS = 25.0
"""No step begins that has less time before the deadline."""
SAME = 1e-5
"""The largest difference of two probabilities that float32 explains."""
LONG_PAYLOADS = (RequestKind.FILE, RequestKind.FILE_CSV)
BARE_WORKLOADS = {"single": (workloads.SINGLES_1,), "file": (workloads.FILE,)}

Say = Callable[[str], None]
T = TypeVar("T")


class Bench:
    """One run."""

    def __init__(self, inputs: BenchInputs, results: BenchResults, deadline: float, say: Say) -> None:
        """Measures nothing yet.

        Args:
            inputs: what is sent.
            results: to which everything is added.
            deadline: of `time.monotonic()`; no visit begins that would end after it.
            say: called with a line for each step.
        """
        self._inputs = inputs
        self._results = results
        self._deadline = deadline
        self._say = say
        self._starts = itertools.count()

    def run(self, systems: Sequence[System], *, with_bare: bool) -> None:
        """All rounds."""
        installed = [system for system in systems if self._is_installed(system)]
        by_server = {system.server: [s for s in installed if s.server == system.server] for system in installed}
        for number in range(self._inputs.sizes.rounds):
            if with_bare:
                self._guarded(BARE, partial(self._bare, number))
            for server, its_systems in _rotated(list(by_server.items()), number):
                self._visits(server, its_systems, number)

    def _is_installed(self, system: System) -> bool:
        try:
            if system.server.peer:
                environments.install(system.server.peer)
        except NotInstalledError as error:
            self._fail(system.name, f"could not be installed: {error}")
            return False
        return True

    def _visits(self, server: Server, systems: Sequence[System], number: int) -> None:
        light = [(system, workload) for system in systems for workload in workloads.LIGHT]
        self._guarded(server.name, partial(self._visit, server, light, number))
        for system in systems:
            rounds = self._inputs.sizes.heavy_rounds if system.has_history else 1
            if system.is_heavy and number < rounds:
                # Each in a server of its own: what one has left in memory is not the next one's.
                for heavy in ((workloads.FILES_8,), workloads.BESIDE):
                    visit = partial(self._visit, server, [(system, workload) for workload in heavy], number)
                    self._guarded(server.name, visit)

    def _guarded(self, name: str, step: Callable[[], None]) -> None:
        """Takes a step unless the deadline is near; what fails ends neither the run nor other systems."""
        if time.monotonic() > self._deadline - VISIT_SECONDS:
            note = f"the deadline left out: {name}"
            if note not in self._results.notes:
                self._results.notes.append(note)
            return
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever a peer fails by, the others are measured
            self._fail(name, f"{type(error).__name__}: {error}")
        self._results.save()

    def _fail(self, name: str, reason: str) -> None:
        reason = reason.replace(f"{ROOT}/", "").replace(str(self._inputs.folder), "")
        self._say(f"  FAILED {name}: {reason}")
        self._results.failures.append(f"{name}: {reason}")

    def _visit(self, server: Server, asked: Sequence[tuple[System, Workload]], number: int) -> None:
        scratch = self._inputs.folder / str(next(self._starts))
        scratch.mkdir()
        context = ServerContext(self._inputs.history, self._inputs.plain, scratch)
        programs = server.start(context)
        with ServerProcesses(programs, self._inputs.folder / "server.log", START_SECONDS) as processes:
            port = programs[-1].port
            self._results.starts.setdefault(server.name, []).append(processes.ready_seconds)
            self._say(f"{server.name}: ready in {processes.ready_seconds:.1f} s")
            for system in dict.fromkeys(system for system, _ in asked):
                self._check(system, port)
            for system, workload in asked:
                if workload.kind in system.calls:
                    self._guarded(system.name, partial(self._measure, system, workload, port, processes, number))

    def _check(self, system: System, port: int) -> None:
        """Compares the answer to a thousand rows with the reference.

        Raises:
            LoadFailedError: there is no good answer.
        """
        call, kept = system.calls[RequestKind.ROWS], self._inputs.folder / "answer"
        spec = self._spec(call, port, self._inputs.check_template(call))
        until = time.monotonic() + CHECK_SECONDS
        while True:
            with LoadGenerator(replace(spec, requests=1, keep=str(kept), prefix=self._inputs.prefix())) as generator:
                totals = generator.measure()
            if totals.good == 1:
                break
            if time.monotonic() > until:
                raise LoadFailedError(f"{system.name} gave no good answer: {totals.statuses}, {totals.wrong} wrong")
            time.sleep(CHECK_PAUSE)
        given, expected = answers.probabilities(call.answer, kept.read_bytes()), self._inputs.reference(system)
        difference = float(np.abs(given - expected).max())
        self._results.agreement[system.name] = max(difference, self._results.agreement.get(system.name, 0.0))
        if difference > SAME:
            self._fail(system.name, f"WRONG PROBABILITIES: they differ by up to {difference:.2g} from the reference")

    def _measure(self, system: System, workload: Workload, port: int, server: ServerProcesses, number: int) -> None:
        spec = self._workload_spec(system, workload, port)
        with LoadGenerator(spec) as generator:
            before = server.usage()
            with PeakSampler(server) as sampler:
                totals = generator.measure()
            used = server.usage().cpu_since(before)
        time.sleep(self._inputs.sizes.settle_seconds if workload.is_settled else 0.0)
        measured = replace(
            measurement(totals, system.name, workload.name, number, spec.rows),
            cpu=used,
            peak=sampler.peak,
            after=dict(server.usage().memory),
        )
        self._results.measurements.append(measured)
        self._say(f"  {line_of(measured)}")
        if measured.wrong:
            self._fail(system.name, f"WRONG ANSWERS: {measured.wrong} of {measured.requests} in {workload.name}")

    def _workload_spec(self, system: System, workload: Workload, port: int) -> LoadSpec:
        sizes, call = self._inputs.sizes, system.calls[workload.kind]
        templates = self._inputs.templates(call, workload.kind, sizes.file_bytes)
        warm = 0 if workload.kind in LONG_PAYLOADS else max(WARM_REQUESTS // max(workload.callers, 1), 2)
        return replace(
            self._spec(call, port, templates),
            callers=workload.callers,
            rate=workload.rate,
            seconds=sizes.beside_seconds if workload.rate else sizes.seconds,
            requests=workload.requests,
            warm_requests=warm,
            uploads=self._uploads(system, port, workload.uploads),
        )

    def _uploads(self, system: System, port: int, callers: int) -> LoadSpec | None:
        if not callers:
            return None
        call = system.calls[RequestKind.FILE]
        templates = self._inputs.templates(call, RequestKind.FILE, self._inputs.sizes.upload_bytes)
        return replace(self._spec(call, port, templates), callers=callers)

    def _spec(self, call: Call, port: int, templates: Templates) -> LoadSpec:
        headers = {"Content-Type": bodies.content_type(call.encoding), **call.headers}
        return LoadSpec(
            port=port,
            path=call.path,
            headers=headers,
            templates=str(templates.file),
            lengths=templates.lengths,
            rows=templates.rows,
            form=call.answer,
            prefix=self._inputs.prefix(),
        )

    def _bare(self, number: int) -> None:
        sizes = self._inputs.sizes
        templates = self._inputs.templates(FILE_CALL, RequestKind.FILE, sizes.file_bytes)
        environment = {**os.environ, "MODEL_DIRECTORY": str(self._inputs.plain.unpacked), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "benchmarks.peers.bare", str(templates.file), str(sizes.seconds)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=GENERATOR_SECONDS
        )
        for name, each in json.loads(done.stdout).items():
            for workload in BARE_WORKLOADS[name]:
                measured = bare_measurement(workload.name, number, each, 1 if name == "single" else templates.rows)
                self._results.measurements.append(measured)
                self._say(f"  {line_of(measured)}")


def _rotated(items: list[T], by: int) -> list[T]:
    """The same from another one on, so that no system always comes first."""
    return items[by % len(items) :] + items[: by % len(items)] if items else items


def line_of(measured: Measurement) -> str:
    """A measurement for a person who waits."""
    cpu = sum(measured.cpu.values()) / max(measured.good, 1) * 1e3
    return (
        f"{measured.system:26} {measured.workload:36} {measured.rate:8.1f}/s  p50 {measured.p50:8.1f}  p99 "
        f"{measured.p99:8.1f} ms  {cpu:8.2f} ms of processor each  {measured.degraded} degraded  "
        f"{measured.requests - measured.good} failed"
    )
