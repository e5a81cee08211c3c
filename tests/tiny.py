"""A real but tiny model version as TorchServe would unpack it, and a transport that serves it in-process.

The handler, contract and TorchScript model are the real ones; only TorchServe's JVM and its socket are left out.
"""

import asyncio
import hashlib
import json
import logging
import warnings
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import torch

from contract.decision import DecisionBands
from contract.golden import GoldenRows
from contract.model_card import ModelCard
from contract.schema import Column, Contract, Feature, FeatureKind, Kind, Missing
from handlers.fraud_handler import FraudHandler

COLUMNS = (
    Column("transaction_id", Kind.ID),
    Column("timestamp", Kind.TIMESTAMP),
    Column("amount", Kind.NUMBER, minimum=0.0, maximum=10_000.0),
    Column("age", Kind.NUMBER, missing=Missing.ALLOW),
    Column("channel", Kind.CATEGORY, values=("chip", "online")),
    Column("is_fraud", Kind.LABEL),
)
FEATURES = (
    Feature("amount", FeatureKind.NUMBER, "amount"),
    Feature("age", FeatureKind.NUMBER, "age"),
    Feature("channel", FeatureKind.CATEGORY, "channel"),
    Feature("hour_sin", FeatureKind.HOUR_SIN, "timestamp"),
)
CONTRACT = Contract("tiny", COLUMNS, FEATURES)
BANDS = DecisionBands(0.5, 0.9)
HEADER = "transaction_id,timestamp,amount,age,channel"
GOLDEN_CSV = f"{HEADER}\ng-1,2026-01-01T10:00:00,10,30,chip\ng-2,2026-01-02T22:00:00,9000,,online\n"


class TinyModel(torch.nn.Module):
    """The more a transaction costs, the likelier it is fraud; half of it at an amount of 1,000."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid((rows[:, 0] - 1000.0) * self.slope)


def write_version(  # noqa: PLR0913 - each is a part of an archive
    directory: Path,
    version: int = 1,
    contract: Contract = CONTRACT,
    golden_csv: str = GOLDEN_CSV,
    slope: float = 0.01,
    *,
    history: tuple[tuple[float | None, ...], ...] = (),
) -> Path:
    """Writes the files of an unpacked archive."""
    directory.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(TinyModel(slope))
        torch.jit.save(scripted, directory / "model.pt")
    matrix = GoldenRows(golden_csv, (), history).matrix(contract)
    scores = scripted(torch.from_numpy(matrix)).tolist()
    (directory / "contract.json").write_bytes(contract.to_bytes())
    (directory / "card.json").write_bytes(card(version).to_bytes())
    (directory / "golden.json").write_text(json.dumps(GoldenRows(golden_csv, tuple(scores), history).to_json()))
    seal(directory)
    return directory


def card(version: int, bands: DecisionBands = BANDS) -> ModelCard:
    """A model card."""
    return ModelCard(version, "2026-01-01T00:00:00+00:00", bands, {}, {}, {}, {}, 0.01)


def seal(directory: Path) -> None:
    """Writes checksums.json over the files as they are now."""
    files = [file for file in directory.iterdir() if file.name != "checksums.json"]
    sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    (directory / "checksums.json").write_text(json.dumps(sums))


class Context:
    """What TorchServe hands to a handler, as far as ours looks at it."""

    def __init__(self, directory: Path, version: int = 1) -> None:
        self.system_properties = {"model_dir": str(directory), "gpu_id": None}
        self.manifest = {"model": {"modelVersion": str(version)}}
        self.statuses: dict[int, int] = {}

    def set_response_content_type(self, position: int, value: str) -> None:
        assert value == "application/octet-stream"

    def set_response_status(self, code: int, phrase: str, position: int) -> None:
        self.statuses[position] = code


def load(directory: Path, version: int = 1) -> FraudHandler:
    """The real handler over an unpacked archive; it hushes the process that it takes for a worker: that is undone."""
    handler, root = FraudHandler(), logging.getLogger()
    level = root.level
    handler.initialize(Context(directory, version))
    root.setLevel(level)
    return handler


class TinyServer(httpx.AsyncBaseTransport):
    """TorchServe's inference port in-process: the versions that it holds, and TorchServe's 503 for any other.

    Attributes:
        fail: what every request meets; `failing` what those to one version meet.
        hanging: versions that never answer.
        asked: requests by version.
    """

    def __init__(self) -> None:
        self.versions: dict[str, Any] = {}
        self.fail: Exception | httpx.Response | None = None
        self.failing: dict[int, Exception | httpx.Response] = {}
        self.hanging: set[int] = set()
        self.asked: Counter[int] = Counter()

    def serve(self, directory: Path, version: int = 1) -> None:
        """Loads a version."""
        self.versions[str(version)] = SimpleNamespace(handler=load(directory, version), directory=directory)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        _, predictions, _, version = request.url.path.split("/")
        assert predictions == "predictions"
        self.asked[int(version)] += 1
        if int(version) in self.hanging:
            await asyncio.Event().wait()
        fail = self.fail or self.failing.get(int(version))
        if isinstance(fail, Exception):
            raise fail
        if fail is not None:
            return fail
        held = self.versions.get(version)
        if held is None:
            return httpx.Response(503)
        context = Context(held.directory, int(version))
        answers = held.handler.handle([{"body": bytearray(await request.aread())}], context)
        return httpx.Response(context.statuses.get(0, 200), content=answers[0])


def matrix(rows: int = 3) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A matrix of the tiny contract's width, with amounts from 0 to 2,000."""
    values = np.zeros((rows, CONTRACT.width), dtype=np.float32)
    values[:, 0] = np.linspace(0, 2000, rows)
    return values
