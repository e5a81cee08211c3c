"""What a run has measured, as JSON in benchmarks/results/."""

import json
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import psutil

FOLDER = Path(__file__).parents[1] / "results"
LATEST = FOLDER / "latest.json"
CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One workload on one system in one round.

    Attributes:
        requests: that were sent.
        good: answers 200 with a prediction for each row.
        rows: transactions in each request.
        seconds: from the first request to the last answer.
        p50: milliseconds of good answers; NaN without any. So is `p99`.
        statuses: how many answers had each status; "0" is no answer.
        degraded: good answers that said so.
        wrong: answers 200 with another number of predictions than rows.
        cpu: seconds of a processor by process, while it ran.
        client_cpu: of the load generator.
        peak: MB of memory by process, the most at a time.
        after: MB of memory by process, some seconds after it.
        uploads: answers to what was sent beside it, by status; degraded ones under "degraded".
    """

    system: str
    workload: str
    round: int
    requests: int
    good: int
    rows: int
    seconds: float
    p50: float
    p99: float
    statuses: dict[str, int]
    degraded: int = 0
    wrong: int = 0
    cpu: dict[str, float] = field(default_factory=dict)
    client_cpu: float = 0.0
    peak: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    uploads: dict[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return self.good / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class BenchResults:
    """A whole run.

    Attributes:
        machine: what it ran on.
        load_average: of the last minute before the run: another load than none makes absolute figures worthless.
        settings: sizes and systems.
        starts: seconds from start to ready, by system, one a round.
        agreement: the largest difference of a probability from the reference, by system.
        failures: what could not be measured, and why.
        notes: what was left out.
        is_whole: whether the run reached its end.
    """

    began: str
    machine: str
    load_average: float
    settings: dict[str, object]
    measurements: list[Measurement] = field(default_factory=list)
    starts: dict[str, list[float]] = field(default_factory=dict)
    agreement: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_whole: bool = False

    @classmethod
    def new(cls, settings: dict[str, object]) -> Self:
        """Results without any measurement."""
        began = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        return cls(began, machine(), round(psutil.getloadavg()[0], 2), settings)

    def save(self) -> Path:
        """Writes them under their time, and as the latest; after each step, so that what was measured is kept."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), indent=1)
        file = FOLDER / f"bench-{self.began.replace(' ', '-').replace(':', '')}.json"
        for each in (file, LATEST):
            each.write_text(text + "\n")
        return file

    @classmethod
    def load(cls, file: Path = LATEST) -> Self:
        """Reads what was saved."""
        fields = json.loads(file.read_text())
        fields["measurements"] = [Measurement(**each) for each in fields["measurements"]]
        return cls(**fields)


def machine() -> str:
    """Processors and memory of this machine, in words."""
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    memory = f"{psutil.virtual_memory().total / 1e9:.0f} GB"
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{psutil.cpu_count()} processors ({model}), {memory}, {system}"
