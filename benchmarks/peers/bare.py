"""The bare limit: what the module, the features and a good parser give without any server, in one process.

`python -m benchmarks.peers.bare FILE SECONDS` prints JSON: transactions a second, one after the other and JSON to
JSON, in one thread; and rows a second of the CSV file, parsed by pyarrow, in two threads, each with half of it.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pyarrow import csv, py_buffer

from benchmarks.peers.scorer import Floats, PeerScorer, from_environment
from contract.features import to_matrix
from contract.schema import Kind
from contract.table import Table

THREADS = 2


def main(file: Path, seconds: float) -> None:
    """Measures and prints."""
    scorer, body = from_environment(), file.read_bytes()
    torch.set_num_threads(1)
    print(json.dumps({"single": _singles(scorer, body, seconds), "file": _files(scorer, body, seconds)}))


def score_file(scorer: PeerScorer, body: bytes, pool: ThreadPoolExecutor) -> Floats:
    """Probabilities of all rows of a CSV file."""
    header, _, rows = body.partition(b"\n")
    middle = rows.find(b"\n", len(rows) // THREADS) + 1
    halves = [header + b"\n" + rows[:middle], header + b"\n" + rows[middle:]]
    return np.concatenate(list(pool.map(lambda half: scorer.probabilities(_matrix(scorer, half)), halves)))


def _matrix(scorer: PeerScorer, body: bytes) -> Floats:
    names = [column.name for column in scorer.columns]
    kinds = {column.name: "float64" for column in scorer.columns if column.kind is Kind.NUMBER}
    options = csv.ConvertOptions(include_columns=names, column_types=kinds, timestamp_parsers=[csv.ISO8601])
    read = csv.read_csv(py_buffer(body), csv.ReadOptions(use_threads=False), convert_options=options)
    values: dict[str, NDArray[Any]] = {}
    for column in scorer.columns:
        if column.kind is Kind.TIMESTAMP:
            values[column.name] = read[column.name].cast("timestamp[ms]").cast("int64").to_numpy() / 1e3
        else:
            values[column.name] = read[column.name].to_numpy()
    return to_matrix(scorer.contract, Table(values, np.arange(1, read.num_rows + 1)))


def _files(scorer: PeerScorer, body: bytes, seconds: float) -> dict[str, float]:
    rows, done, began, cpu = body.count(b"\n") - 1, 0, time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(THREADS) as pool:
        score_file(scorer, body, pool)
        began, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - began < seconds or not done:
            done += len(score_file(scorer, body, pool)) == rows
    taken = time.perf_counter() - began
    return {"rows_per_second": done * rows / taken, "cpu_seconds_per_request": (time.process_time() - cpu) / done}


def _singles(scorer: PeerScorer, body: bytes, seconds: float) -> dict[str, float]:
    texts = _texts(scorer, body)
    done, began, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        json.dumps(scorer.score([json.loads(texts[done % len(texts)])]).tolist())
        done += 1
    taken = time.perf_counter() - began
    return {"rows_per_second": done / taken, "cpu_seconds_per_request": (time.process_time() - cpu) / done}


def _texts(scorer: PeerScorer, body: bytes) -> list[str]:
    """The first transactions of the file as JSON."""
    lines = body.decode().splitlines()[:101]
    names = lines[0].split(",")
    numbers = {column.name for column in scorer.contract.inputs if column.kind is Kind.NUMBER}
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]
    return [json.dumps({name: float(text) if name in numbers else text for name, text in row.items()}) for row in rows]


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
