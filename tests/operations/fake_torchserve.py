"""TorchServe's ports at the httpx transport, with the traps that were measured on the real one."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from contract.description import Description
from contract.frame import DESCRIBE, Frame
from contract.golden import GoldenRows
from contract.schema import Column, Contract, Feature, FeatureKind, Kind
from operations.torchserve.client import TorchServeClient
from tests.tiny import card

CONTRACT = Contract(
    "payments",
    (Column("payment", Kind.ID), Column("amount", Kind.NUMBER)),
    (Feature("amount", FeatureKind.NUMBER, "amount"),),
)
GOLDEN = GoldenRows("payment,amount\na,1\nb,2\n", (0.25, 0.5))


@dataclass
class FakeTorchServe:
    """What is registered, by version: the states of its workers.

    Attributes:
        directory: that it loads from; None where a test needs no files.
        loaded: the bytes of each archive that it has unpacked.
        asked: each version, and how many workers it is to have.
    """

    directory: Path | None = None
    loaded: list[bytes] = field(default_factory=list)
    registered: dict[int, list[str]] = field(default_factory=dict)
    default: int | None = None
    down: bool = False
    broken: set[int] = field(default_factory=set)
    deadly: set[int] = field(default_factory=set)
    models: dict[int, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = field(default_factory=dict)
    descriptions: dict[int, Description] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    asked: list[tuple[int, int | None]] = field(default_factory=list)
    odd: bytes | None = None
    refuses_to_score: bool = False
    meeting: threading.Barrier | None = None
    processes: Iterator[int] = field(default_factory=lambda: count(1000))

    def server(self) -> TorchServeClient:
        """The adapter over this fake."""
        return TorchServeClient("http://management", "http://inference", httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One request to either port."""
        if self.meeting:  # The first answer waits for other servers to be asked.
            meeting, self.meeting = self.meeting, None
            meeting.wait(30)
        if self.down:
            raise httpx.ConnectError("refused")
        kind, *path = request.url.path.strip("/").split("/")
        if kind == "predictions":
            return self._predict(int(path[1]), request.content)
        if request.method == "POST":
            return self._register(request.url.params)
        if request.method == "PUT":
            return self._change(int(path[1]), path[2:], request.url.params)
        return self._delete(int(path[1])) if request.method == "DELETE" else self._list()

    def _list(self) -> httpx.Response:
        if self.odd is not None:
            return httpx.Response(200, content=self.odd)
        if not self.registered:
            return httpx.Response(404, json={"message": "Model not found: fraud"})
        described = [_described(version, states, self.processes) for version, states in self.registered.items()]
        return httpx.Response(200, json=described)

    def _register(self, params: httpx.QueryParams) -> httpx.Response:
        self.files.append(params["url"])
        version = int(params["url"].removeprefix("fraud-").removesuffix(".verified.mar"))
        if self.directory:
            if not (archive := self.directory / params["url"]).exists():
                return httpx.Response(404, json={"message": "Model not found in model store"})
            self.loaded.append(archive.read_bytes())
        if version in self.deadly:
            self.registered, self.down = {}, True
            raise httpx.ReadError("the server has ended")
        if version in self.registered:
            return httpx.Response(409, json={"message": "already registered"})
        self.default = self.default or version
        workers = int(params["initial_workers"]) if "initial_workers" in params else None
        self.asked.append((version, workers))
        # A broken one's workers start again and again.
        self.registered[version] = ["UNLOADING" if version in self.broken else "READY"] * (workers or 2)
        return httpx.Response(202)

    def _change(self, version: int, action: list[str], params: httpx.QueryParams) -> httpx.Response:
        if action == ["set-default"]:
            self.default = version
            return httpx.Response(200)
        self.asked.append((version, int(params["min_worker"])))
        states = self.registered[version]
        states += states[:1] * (int(params["min_worker"]) - len(states))
        return httpx.Response(202)

    def _delete(self, version: int) -> httpx.Response:
        if version not in self.registered:
            return httpx.Response(404)
        if version == self.default and len(self.registered) > 1:
            return httpx.Response(403, json={"message": "Cannot remove default version"})
        del self.registered[version]
        self.deleted.append(version)
        self.default = None if version == self.default else self.default
        return httpx.Response(200)

    def _predict(self, version: int, body: bytes) -> httpx.Response:
        if self.refuses_to_score or "READY" not in self.registered.get(version, []):
            return httpx.Response(503, json={"message": "no worker"})
        if body == DESCRIBE:
            return httpx.Response(200, content=self.describe(version).to_bytes())
        asked = Frame.from_bytes(body)
        scores = self.models.get(version, quarter)(asked.values)
        return httpx.Response(200, content=Frame(version, asked.fingerprint, scores).to_bytes())

    def describe(self, version: int) -> Description:
        """What a version says of itself."""
        whole = Description(CONTRACT, card(version), GOLDEN, "cpu", half_precision=False)
        return self.descriptions.get(version, whole)


def quarter(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability that a version gives by default: a quarter of the amount, at most 1."""
    return np.minimum(matrix[:, :1] / 4, 1)


def constant(*probabilities: float) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """A model that answers with these, whatever it is asked."""
    return lambda _: np.array(probabilities, dtype=np.float32).reshape(-1, 1)


def _described(version: int, states: list[str], processes: Iterator[int]) -> dict[str, object]:
    """A worker that cannot start is another process at each look."""
    workers = [
        {"status": state, "pid": number if state == "READY" else next(processes)}
        for number, state in enumerate(states, 1)
    ]
    return {"modelVersion": str(version), "minWorkers": len(workers), "workers": workers}
