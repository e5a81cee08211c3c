"""The model of one version in this process: transactions to probabilities, by `contract` and the TorchScript module.

Every peer scores with it, so that all compute the same: what is compared is what a framework does around it. It
converts without looking for faults, which is less than the gateway does.
"""

import io
import os
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from contract.features import to_matrix
from contract.schema import Column, Contract, Kind
from contract.table import Table

Floats = NDArray[np.float32]
BLOCK_ROWS = 8192
"""Rows in one call of the module, as many as the gateway sends."""


class PeerScorer:
    """The module and its contract.

    Attributes:
        contract: of the version.
        columns: those that a feature reads.
    """

    def __init__(self, directory: Path) -> None:
        """Loads model.pt and contract.json of a directory."""
        self.contract = Contract.from_bytes((directory / "contract.json").read_bytes())
        read = {feature.column for feature in self.contract.features}
        self.columns = [column for column in self.contract.inputs if column.name in read]
        with warnings.catch_warnings():
            # torch 2.13 deprecates TorchScript, which is what TorchServe's archives hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            module: torch.nn.Module = torch.jit.load(directory / "model.pt", map_location="cpu")  # type: ignore[no-untyped-call]
        self.module = module.eval()

    def score(self, transactions: Sequence[Mapping[str, Any]]) -> Floats:
        """Probabilities, shape (rows,), of transactions as JSON has them."""
        return self.probabilities(self.matrix(transactions))

    def matrix(self, transactions: Sequence[Mapping[str, Any]]) -> Floats:
        """The features, shape (rows, width)."""
        return self.table_matrix({c.name: [each.get(c.name) for each in transactions] for c in self.columns})

    def table_matrix(self, columns: Mapping[str, Sequence[Any]]) -> Floats:
        """The features, shape (rows, width), of columns as JSON has their values."""
        values = {column.name: _values(column, columns[column.name]) for column in self.columns}
        return to_matrix(self.contract, Table(values, np.arange(1, len(next(iter(values.values()))) + 1)))

    def csv_matrix(self, body: bytes) -> tuple[list[str], Floats]:
        """The ids and the features of a CSV file, by pandas."""
        import pandas as pd  # noqa: PLC0415 - not every peer has it

        text = {column.name: str for column in self.contract.inputs if column.kind is not Kind.NUMBER}
        frame = pd.read_csv(io.BytesIO(body), dtype=text, keep_default_na=False)
        values: dict[str, NDArray[Any]] = {}
        for column in self.columns:
            if column.kind is Kind.TIMESTAMP:
                times = pd.to_datetime(frame[column.name], format="ISO8601").to_numpy("datetime64[ms]")
                values[column.name] = times.astype(np.int64) / 1e3
            else:
                values[column.name] = frame[column.name].to_numpy(object if column.kind is Kind.CATEGORY else float)
        identity = self.contract.first(Kind.ID)
        ids: list[str] = frame[identity.name].tolist() if identity else [""] * len(frame)
        return ids, to_matrix(self.contract, Table(values, np.arange(1, len(frame) + 1)))

    def probabilities(self, matrix: Floats) -> Floats:
        """The module's answer, shape (rows,), in blocks of rows."""
        with torch.inference_mode():
            parts = [
                self.module(torch.from_numpy(matrix[i : i + BLOCK_ROWS])) for i in range(0, len(matrix), BLOCK_ROWS)
            ]
            joined: Floats = torch.cat(parts).float().numpy().reshape(-1)
        return joined


def _values(column: Column, values: Sequence[Any]) -> NDArray[Any]:
    if column.kind is Kind.TIMESTAMP:
        return np.array([_seconds(value) for value in values], dtype=np.float64)
    if column.kind is Kind.CATEGORY:
        return np.array(["" if value is None else value for value in values], dtype=object)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _seconds(value: str | datetime) -> float:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def from_environment() -> PeerScorer:
    """That of the directory which MODEL_DIRECTORY names."""
    return PeerScorer(Path(os.environ["MODEL_DIRECTORY"]))


def port() -> int:
    """The one to listen on."""
    return int(os.environ["PORT"])
