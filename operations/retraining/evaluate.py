"""`fraud evaluate`: the report on a version, written as a page for people and as JSON beside it.

The version scores as it is packed, through its own verified archive. Imported late: `training` brings torch and pandas.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.model_card import ModelCard
from operations.errors import OperationsError
from operations.files import durable
from operations.store.registry import Registry
from operations.store.version_archive import load_version
from training.errors import TrainingError
from training.report.document import Document, document
from training.report.page import report_files
from training.report.subject import subject
from training.simulator import Simulation
from training.train import TrainRequest, read


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What the options ask for.

    Attributes:
        version: None takes the newest.
        data: labelled CSV or parquet; None makes the simulated payments again that a version was trained on.
        beside: whether other models are trained on the same split.
    """

    version: int | None
    data: Path | None
    out: Path
    beside: bool = True
    threads: int = 1


def evaluate(registry: Registry, options: EvaluateOptions) -> tuple[Document, tuple[Path, Path]]:
    """Measures a version and writes its report; returns it and where page and JSON are.

    Raises:
        OperationsError: there is no such version, its archive is damaged, or the data cannot be used.
    """
    named = options.out.suffix.lower() in {".html", ".htm"}
    page = options.out if named else options.out.with_name(f"{options.out.name}.html")
    report = _evaluate_version(registry, options)
    files = report_files(report)
    for path, name in ((page, "report.html"), (page.with_suffix(".json"), "report.json")):
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(path, files[name])
    return report, (page, page.with_suffix(".json"))


def _evaluate_version(registry: Registry, options: EvaluateOptions) -> Document:
    version = load_version(registry, registry.newest() if options.version is None else options.version)
    request = _request(version.card, options.data)
    source = "the simulator" if options.data is None else options.data.name
    try:
        rows = read(version.contract, request)
        about = subject(version.contract, version.card, version.score, rows, source)
        return document(about, compare=options.beside, threads=options.threads)
    except TrainingError as error:
        raise OperationsError(str(error)) from None


def _request(card: ModelCard, data: Path | None) -> TrainRequest:
    """What reads the rows: the file, or the simulation that the card tells."""
    if data is not None:
        return TrainRequest(card.version, Path(), data)
    source: Any = card.data.get("source")
    if not isinstance(source, Mapping) or "simulator" not in source:
        raise OperationsError(f"version {card.version} was trained on a file: name it, or a newer one, with --data")
    return TrainRequest(card.version, Path(), simulation=Simulation(**source["simulator"]))


def lines(report: Document) -> list[str]:
    """The short form, for the terminal."""
    test = report["test"]
    interval = test["average_precision_interval"]
    within = f" (95% interval {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    lines = [
        f"Version {report['version']} on {test['rows']:,} transactions, {test['frauds']:,} of them fraud:",
        f"  average precision  {test['average_precision']:.3f}{within}",
        f"  calibration error  {test['expected_calibration_error']:.2g}",
    ]
    return lines + [_baseline_line(baseline) for baseline in report["rivals"]]


def _baseline_line(baseline: Mapping[str, Any]) -> str:
    difference = baseline["difference"]
    lead = f"; the lead over it is from {difference[0]:+.3f} to {difference[1]:+.3f}" if difference else ""
    return f"  beside it          {baseline['name']} {baseline['average_precision']:.3f}{lead}"
