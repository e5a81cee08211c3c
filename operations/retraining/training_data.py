"""The newest labelled data as one file: transactions from a file or a folder, and the labels that came in by the API.

One file with its own labels, where none came in that changes anything, is taken as it is. Else all is joined in a file
that lives as long as the training and the comparison: `operations.history.label_export` says which label counts.
"""

import contextlib
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.schema import Contract, Kind
from operations.errors import OperationsError, in_words
from operations.files import scratch
from operations.history.label_export import ExportCounts, ReceivedLabels, export, live_contract, open_received_labels
from operations.network.endpoints import find_redis_url, history_key
from operations.settings import StatePaths
from training import source
from training.errors import TrainingError
from training.schema import load_schema

SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What to train on, and a line for a person; none where the file is taken as it is."""

    path: Path
    note: str | None = None


@contextlib.contextmanager
def gather_training_data(
    paths: StatePaths, env: Mapping[str, str], data: Path, schema: Path | None = None, days: float | None = None
) -> Iterator[TrainingData]:
    """Gathers what a deployment has to learn from.

    Args:
        paths: of the deployment.
        env: the environment.
        data: a file, or a folder of CSV and parquet files, the newest last by name.
        schema: says what the columns are; None takes the live version's.
        days: transactions older than this that have no label are genuine, and younger ones have none.

    Raises:
        OperationsError: a file cannot be read or joined, no transaction has a label, or Redis does not answer.
    """
    files, url = _files(data), find_redis_url(paths, env)
    if len(files) == 1 and url is None and days is None:
        yield TrainingData(files[0])
        return
    paths.store.mkdir(parents=True, exist_ok=True)
    with scratch.directory(paths.store) as temporary:
        out = Path(temporary) / f"{data.stem}.csv"
        with open_received_labels(url, history_key(paths, env)) if url else contextlib.nullcontext() as received:
            joined = _joined(received, _contract(paths, schema, files[-1]), data, out, days)
        yield joined


def _files(data: Path) -> list[Path]:
    try:
        if not data.is_dir():
            data.stat()
            return [data]
        files = [file for file in sorted(data.iterdir()) if file.suffix.lower() in SUFFIXES and file.is_file()]
    except OSError as error:
        raise OperationsError(f"TRAINING_DATA or TRAINING_SCHEMA cannot be read: {in_words(error)}") from None
    if not files:
        raise OperationsError(f"there is no CSV or parquet file in {data}")
    return files


def _joined(
    received: ReceivedLabels | None, contract: Contract | None, data: Path, out: Path, days: float | None
) -> TrainingData:
    files = _files(data)
    if contract is None and len(files) == 1 and days is None:
        return TrainingData(
            files[0], "No label that came in is used: no schema says which columns are id, time and label."
        )
    if contract is None:
        raise OperationsError(
            "several files, or labels by their age, need to know which columns are id, time and label: set "
            "TRAINING_SCHEMA, or release a version with these columns first"
        )
    counts = export(received, contract, files, out, days)
    if not counts.frauds + counts.genuine:
        raise OperationsError(f"none of the {counts.rows:,} transactions in {data} has a label")
    return (
        TrainingData(files[0])
        if len(files) == 1 and _is_unchanged(counts)
        else TrainingData(out, f"Gathered {counts}.")
    )


def _is_unchanged(data: ExportCounts) -> bool:
    """Whether nothing came in and nothing was left out: then the file's own bytes are what is trained on."""
    return not (data.received or data.unlabelled or data.genuine_by_age)


def _contract(paths: StatePaths, schema: Path | None, file: Path) -> Contract | None:
    """By the schema; else by the live version, where the file has its columns; else nobody knows."""
    try:
        if schema is not None:
            return load_schema(schema).contract({})
        header = set(_header(file))
    except (TrainingError, OSError) as error:
        raise OperationsError(str(error)) from None
    with contextlib.suppress(OperationsError):
        live = live_contract(paths.store)
        needed = {name for column in (live.first(Kind.ID), live.time) if column is not None for name in column.names}
        return live if len(needed) > 1 and needed <= header else None
    return None


def _header(file: Path) -> list[str]:
    if source.is_parquet(file):
        with source.open_parquet(file) as opened:
            return source.parquet_names(opened)
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as text:
        return [name.strip() for name in next(csv.reader(text), [])]
