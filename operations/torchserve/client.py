"""A client of TorchServe: of its management port, and of its inference port as far as it proves a version.

Facts of TorchServe 0.12.0 that it relies on (docs/adr/0002-torchserve-behind-one-adapter.md):
`/ping` is healthy without a model; the default version is lost with the process; a registration that fails stays
registered without a worker, and the next try is a 409; a version that is the default cannot be deleted while another
is registered. So every call names its version, and whoever registers deletes again on any failure.
"""

import contextlib
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from contract.description import Description, DescriptionError
from contract.frame import DESCRIBE, Frame, FrameError
from environment.bounded_transport import BoundedTransport
from operations.errors import OperationsError
from operations.torchserve.launch import MODEL

READY = "READY"
BLOCK_BYTES = 4_000_000
"""A request stays under TorchServe's default limit of 6.5 MB."""


class TorchServeUnreachable(OperationsError):
    """TorchServe cannot be reached."""


class TorchServeRefused(OperationsError):
    """TorchServe answered, and not with success."""

    def __init__(self, what: str, status: int, message: str) -> None:
        """Takes what was asked for, and TorchServe's own words."""
        super().__init__(f"TorchServe refused to {what}: {status} {message}".rstrip())


class TorchServeInvalidAnswer(OperationsError):
    """TorchServe answered with success, and with what cannot be understood."""


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """A version that is registered in TorchServe.

    Attributes:
        ready: how many of them can score.
        target_workers: how many it was registered with; TorchServe starts them one after the other.
        processes: of the workers that have one; a worker that ends is started again under another number.
    """

    version: int
    workers: int
    ready: int
    target_workers: int = 1
    processes: frozenset[int] = frozenset()

    def has_ready(self, workers: int | None) -> bool:
        """Whether this many can score; None means as many as the server itself chose, which it does after a moment."""
        return self.ready >= max(1, self.target_workers if workers is None else workers)


class TorchServeClient:
    """TorchServe's management port, and the two requests to its inference port that prove a version.

    Attributes:
        address: of its management port.
    """

    def __init__(self, management: str, inference: str, transport: httpx.BaseTransport | None = None) -> None:
        """Takes both addresses; a proxy that the environment names is not used."""
        self.address = management
        self._inference = inference
        self._client = httpx.Client(
            base_url=management, transport=BoundedTransport(transport), trust_env=False, timeout=10.0
        )

    def registered(self) -> dict[int, RegisteredVersion]:
        """All versions, by number.

        Raises:
            TorchServeUnreachable: it cannot be reached.
            TorchServeRefused: its answer is not success.
            TorchServeInvalidAnswer: its answer is no list of versions.
        """
        answer = self._request("GET", f"/models/{MODEL}/all")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        return {version.version: version for version in _listed(_successful("list its models", answer))}

    def is_ready(self, version: int) -> bool:
        """Whether a version is registered with a worker that can score. Raises as :meth:`registered`."""
        registered = self.registered().get(version)
        return registered is not None and registered.ready > 0

    def is_reachable(self) -> bool:
        """Whether it can be reached and lists its versions."""
        try:
            self.registered()
        except OperationsError:
            return False
        return True

    def register(self, archive: Path, workers: int | None, timeout: float = 150.0) -> None:
        """Loads an archive of the directory that TorchServe loads from, and waits until its workers run.

        The name of the file is all that TorchServe takes; it has unpacked it when this returns or raises.

        TorchServe is not let wait: until all workers run, a synchronous registration holds the network thread on which
        the other versions are asked, too (measured: 1.3 s without any answer, and above 3 s on a busy machine).
        Without a number of workers the server gives as many as its own configuration says. A number is reached one
        worker at a time: each start imports torch, and those who are served need a processor meanwhile.

        Raises:
            TorchServeRefused: it failed, and may be registered without a worker that can score.
        """
        parameters = {"url": archive.name, "model_name": MODEL, "synchronous": "false"}
        parameters |= {"batch_size": "1", "max_batch_delay": "1"} | ({"initial_workers": "1"} if workers else {})
        known = self.registered().keys()
        answer = self._request("POST", "/models", params=parameters, timeout=timeout)
        hint = f"; does it load from {archive.parent}?" if answer.status_code == httpx.codes.NOT_FOUND else ""
        _successful(f"register {archive.name}", answer, hint)
        version = self._wait_until_started(known, workers and 1, timeout)
        for count in range(2, (workers or 1) + 1):
            self.scale(version, count)
            self._wait_until_started(known, count, timeout)

    def scale(self, version: int, workers: int) -> None:
        """Tells TorchServe how many workers a version is to have; it starts them in the background.

        Raises:
            TorchServeRefused: it does not have the version.
        """
        parameters = {"min_worker": str(workers), "max_worker": str(workers), "synchronous": "false"}
        _successful(f"scale version {version}", self._request("PUT", f"/models/{MODEL}/{version}", params=parameters))

    def delete(self, version: int) -> None:
        """Forgets a version and kills its workers; one that is not registered is no error."""
        path = f"/models/{MODEL}/{version}"
        answer = self._request("DELETE", path)
        if answer.status_code == httpx.codes.FORBIDDEN:  # It is the default while others are there.
            self._make_other_default(version)
            answer = self._request("DELETE", path)
        if answer.status_code != httpx.codes.NOT_FOUND:
            _successful(f"delete version {version}", answer)

    def predict(self, version: int, body: bytes) -> bytes:
        """One request to a version on the inference port.

        Raises:
            TorchServeRefused: its answer is not success.
        """
        answer = self._request(
            "POST",
            f"{self._inference}/predictions/{MODEL}/{version}",
            content=body,
            headers={"content-type": "application/octet-stream"},
        )
        return _successful(f"answer for version {version}", answer).content

    def describe(self, version: int) -> Description:
        """What a version says of itself.

        Raises:
            TorchServeRefused: its answer is not success.
            TorchServeInvalidAnswer: its answer is no description.
        """
        try:
            return Description.from_bytes(self.predict(version, DESCRIBE))
        except DescriptionError as error:
            raise TorchServeInvalidAnswer(f"version {version} does not answer as a model should: {error}") from None

    def score(self, described: Description, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probabilities of a matrix's rows by the version that described itself.

        Raises:
            TorchServeRefused: its answer is not success.
            TorchServeInvalidAnswer: its answer is not one probability by that version for each row.
        """
        rows = max(1, BLOCK_BYTES // max(1, matrix[:1].nbytes))
        blocks = [matrix[start : start + rows] for start in range(0, len(matrix), rows)]
        return np.concatenate([self._score_block(described, block) for block in blocks])

    def _wait_until_started(self, known: Collection[int], workers: int | None, timeout: float) -> int:
        """The number of the newly registered version, once `workers` of its workers are ready.

        Raises:
            TorchServeRefused: one of them has ended, or they are too late.
        """
        until, processes = time.monotonic() + timeout, set[int]()
        while time.monotonic() < until:
            new = next((registered for version, registered in self.registered().items() if version not in known), None)
            if new is None:
                break
            if new.has_ready(workers):
                return new.version
            processes |= new.processes
            if len(processes) > max(new.target_workers, workers or 0):
                break
            time.sleep(0.1)
        raise TorchServeRefused("start the workers", httpx.codes.SERVICE_UNAVAILABLE, "see its log")

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _score_block(self, described: Description, block: NDArray[np.float32]) -> NDArray[np.float32]:
        version, fingerprint = described.version, described.contract.fingerprint
        try:
            answer = Frame.from_bytes(self.predict(version, Frame(version, fingerprint, block).to_bytes()))
        except FrameError as error:
            raise TorchServeInvalidAnswer(f"version {version} does not answer as a model should: {error}") from None
        described_as = (answer.version, answer.fingerprint, answer.values.shape)
        if described_as != (version, fingerprint, (len(block), 1)):
            raise TorchServeInvalidAnswer(f"version {version} does not answer with its own score for every row")
        return answer.values[:, 0]

    def _make_other_default(self, version: int) -> None:
        other = max((number for number in self.registered() if number != version), default=version)
        self._request("PUT", f"/models/{MODEL}/{other}/set-default")

    def _request(self, method: str, url: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - handed on to httpx
        try:
            return self._client.request(method, url, **more)
        except httpx.HTTPError as error:
            reason = type(error).__name__
            raise TorchServeUnreachable(
                f"TorchServe does not answer at {self.address} ({reason}); does it run?"
            ) from None


def _listed(answer: httpx.Response) -> list[RegisteredVersion]:
    try:
        return [_registered(fields) for fields in answer.json()]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TorchServeInvalidAnswer("TorchServe answers with no list of its versions; see its log") from None


def _registered(fields: Mapping[str, Any]) -> RegisteredVersion:
    states = [worker["status"] for worker in fields["workers"]]
    processes = frozenset(worker["pid"] for worker in fields["workers"] if worker.get("pid", -1) > 0)
    target_workers = max(int(fields["minWorkers"]), len(states))
    return RegisteredVersion(int(fields["modelVersion"]), len(states), states.count(READY), target_workers, processes)


def _successful(what: str, answer: httpx.Response, hint: str = "") -> httpx.Response:
    if answer.is_success:
        return answer
    message = ""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        message = str(answer.json()["message"])
    raise TorchServeRefused(what, answer.status_code, message + hint)
