"""Transactions as each system takes them: templates of request bodies, in which a mark stands for a part of each id."""

import io
import json
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.comparison.load_generator import MARK
from benchmarks.peers.scorer import PeerScorer
from contract.frame import Frame
from contract.schema import Kind

ID = "transaction_id"


class Encoding(StrEnum):
    """How transactions are written in a request."""

    OBJECT = "a JSON object"
    ROWS = "JSON rows"
    CSV = "CSV"
    V2 = "V2 inference protocol"
    MATRIX = "float32 matrix"
    FRAME = "frame"


def encode(encoding: Encoding, rows: pd.DataFrame, scorer: PeerScorer) -> bytes:
    """One body.

    Args:
        encoding: how.
        rows: the columns of the contract; a timestamp is text.
        scorer: whose contract it is; it makes the matrix where that is what is sent.
    """
    return _ENCODERS[encoding](_marked(rows), scorer)


def content_type(encoding: Encoding) -> str:
    """What the request says of its body."""
    if encoding is Encoding.CSV:
        return "text/csv"
    return "application/octet-stream" if encoding in {Encoding.MATRIX, Encoding.FRAME} else "application/json"


def _marked(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with ids that are a mark and their number: as long as the simulator's own."""
    return rows.assign(**{ID: [f"{MARK.decode()}{number:05x}" for number in range(len(rows))]})


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = rows.to_dict("records")  # type: ignore[assignment] # names are text
    return records


def _object(rows: pd.DataFrame, _: PeerScorer) -> bytes:
    return json.dumps(_records(rows)[0]).encode()


def _rows(rows: pd.DataFrame, _: PeerScorer) -> bytes:
    return json.dumps({"rows": _records(rows)}).encode()


def _csv(rows: pd.DataFrame, _: PeerScorer) -> bytes:
    buffer = io.BytesIO()
    rows.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue()


def _v2(rows: pd.DataFrame, scorer: PeerScorer) -> bytes:
    inputs = [
        {
            "name": column.name,
            "shape": [len(rows), 1],
            "datatype": "FP64" if column.kind is Kind.NUMBER else "BYTES",
            "data": rows[column.name].tolist(),
        }
        for column in scorer.columns
    ]
    return json.dumps({"inputs": inputs}).encode()


def _matrix(rows: pd.DataFrame, scorer: PeerScorer) -> bytes:
    return scorer.matrix(_records(rows)).tobytes()


def _frame(rows: pd.DataFrame, scorer: PeerScorer) -> bytes:
    matrix = scorer.matrix(_records(rows))
    return Frame(1, scorer.contract.fingerprint, np.ascontiguousarray(matrix)).to_bytes()


_ENCODERS: dict[Encoding, Callable[[pd.DataFrame, PeerScorer], bytes]] = {
    Encoding.OBJECT: _object,
    Encoding.ROWS: _rows,
    Encoding.CSV: _csv,
    Encoding.V2: _v2,
    Encoding.MATRIX: _matrix,
    Encoding.FRAME: _frame,
}
