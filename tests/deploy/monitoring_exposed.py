"""What each part of the system shows to Prometheus: names of metrics, and of their labels.

The gateway's and the jobs' come from their own code. TorchServe's are two recordings of a TorchServe 0.12.0 that ran
under `fraud up` with handlers/torchserve.properties and log4j2.xml as they are here: its metrics port, read under
uploads after both workers of the live version were killed, and again after some requests had met no worker.
"""

import re
from collections import defaultdict
from pathlib import Path

from contract.decision import Decision
from contract.notes import Note, NoteCode
from gateway.metrics import Metrics
from gateway.models.serving_versions import TrialState
from history.label_update import ConfusionCounts
from operations.jobs import outcome
from operations.settings import StatePaths
from releases.record import Trial, TrialKind

RECORDINGS = [Path(__file__).with_name(f"monitoring_torchserve_{place}.txt") for place in (1, 2)]
ALERT_LABELS = {"alertname", "alertstate", "severity", "instance", "model_version", "job_name"}

Exposed = dict[str, set[str]]
"""Labels by name."""


def gateway() -> str:
    """A gateway's metrics, once each of them has been touched."""
    metrics = Metrics()
    metrics.request("POST", "/upload", 200)
    with metrics.request_latency():
        pass
    metrics.show_trial(lambda: TrialState(Trial(TrialKind.SHADOW, 2, 1.0, "2026-01-01T00:00:00+00:00"), None))
    metrics.model_request(1, "scored", 0.01)
    metrics.predictions(1, list(Decision))
    metrics.notes([Note(NoteCode.UNKNOWN_CATEGORY, "channel", 3, 0.5)])
    metrics.labelled({1: ConfusionCounts(3, 1, 2, 4)})
    with metrics.stage("read"):
        pass
    return metrics.exposition().decode()


def keeper(root: Path) -> str:
    """What the keeper shows of the jobs, in a directory of the test's: one succeeded, one failed."""
    paths = StatePaths(root, root / "model_store")
    outcome.record_outcome(paths, "check", 0, 1.5)
    outcome.record_outcome(paths, "backup", 0, 3.0)
    outcome.record_outcome(paths, "backup", 1, 2.0)
    return outcome.metrics_text(paths).decode()


def exposed(root: Path) -> dict[str, Exposed]:
    """Everything that can be read, by the job that shows it."""
    return {
        "gateway": names(gateway()),
        "torchserve": names("".join(file.read_text() for file in RECORDINGS)),
        "keeper": names(keeper(root)),
        "prometheus": {"ALERTS": ALERT_LABELS},
    }


def names(text: str) -> Exposed:
    """The samples in a text of Prometheus' format; a name without a sample is none.

    prometheus_client's own parser would add _total to TorchServe's counters.
    """
    found: Exposed = defaultdict(set)
    for name, pairs in re.findall(r"^([A-Za-z_]\w*)(\{.*\})? ", text, re.MULTILINE):
        found[name] |= set(re.findall(r'(\w+)="', pairs))
    return dict(found)
