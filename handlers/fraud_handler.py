"""The TorchServe handler that travels in every archive: float32 frames in, probability frames out.

It loads only the bytes that it verified (each file against checksums.json, then the golden rows), and it answers only
for its own version and contract. A refused request gets its own status; it fails no other.
"""

from __future__ import annotations  # TorchServe counts the classes here: Context must not be one

import hashlib
import io
import json
import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from contract.description import Description
from contract.frame import DESCRIBE, Frame, FrameError
from contract.golden import GoldenRows
from contract.model_card import ModelCard
from contract.schema import Contract

if TYPE_CHECKING:
    from ts.context import Context

BAD_REQUEST, CONFLICT = 400, 409
OCTETS = "application/octet-stream"
LOADED = frozenset({"model.pt", "contract.json", "card.json", "golden.json"})


class FraudHandler:
    """One worker's model. TorchServe calls `initialize` once and `handle` for each batch."""

    def initialize(self, context: Context) -> None:
        """Verifies, loads and proves the model; an exception here fails the registration."""
        directory = Path(context.system_properties["model_dir"])
        files = verified(directory)
        self.device = _device(context.system_properties.get("gpu_id"))
        self.half = os.environ.get("HALF_PRECISION", "") in {"1", "true"}
        torch.set_num_threads(1)
        self.model = _load(files["model.pt"], self.device)
        self.description = _description(files, str(self.device), half=self.half)
        if self.description.version != int(context.manifest["model"]["modelVersion"]):
            raise RuntimeError("the model card is of another version than the archive")
        self._prove()
        # From here on the worker logs nothing of a request: TorchServe's default is fifteen lines each.
        logging.getLogger().setLevel(logging.WARNING)

    def handle(self, data: list[dict[str, Any]], context: Context) -> list[bytes]:
        """Answers each request of a batch; the bodies are frames, or DESCRIBE."""
        answers = []
        for position, request in enumerate(data):
            context.set_response_content_type(position, OCTETS)
            answers.append(self._answer(bytes(request["body"]), context, position))
        return answers

    def _answer(self, body: bytes, context: Context, position: int) -> bytes:
        if body == DESCRIBE:
            return self.description.to_bytes()
        try:
            frame = Frame.from_bytes(body)
        except FrameError as error:
            return _refuse(context, position, BAD_REQUEST, str(error))
        if refusal := self._mismatch(frame):
            return _refuse(context, position, CONFLICT, refusal)
        return Frame(frame.version, frame.fingerprint, self.score(frame.values)).to_bytes()

    def _mismatch(self, frame: Frame) -> str:
        contract = self.description.contract
        if frame.version != self.description.version:
            return "the frame is for another model version"
        if frame.fingerprint != contract.fingerprint:
            return "the frame was made by another contract"
        if frame.values.shape[1] != contract.width:
            return "the frame has another width than the contract"
        return ""

    def score(self, matrix: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Probabilities for a matrix of shape (rows, width): float32, shape (rows, 1)."""
        half = torch.autocast(self.device.type, dtype=_half_type(self.device), enabled=self.half)
        with torch.inference_mode(), half:
            # A copy: the frame's bytes are read-only, and torch warns of that at each request.
            rows = torch.from_numpy(matrix.copy()).to(self.device)
            probabilities: torch.Tensor = self.model(rows)
        return probabilities.float().cpu().numpy().reshape(-1, 1)

    def _prove(self) -> None:
        golden = self.description.golden.matrix(self.description.contract)
        if not self.description.proven_by(self.score(golden)[:, 0]):
            raise RuntimeError("the golden rows do not score as they did in training")


def verified(directory: Path) -> dict[str, bytes]:
    """The files of an unpacked archive that are loaded, after all files were checked against its checksums.json.

    Each is read once: what is loaded is what was checked, whatever becomes of the file.

    Raises:
        RuntimeError: a file differs, or is missing.
    """
    expected: dict[str, str] = json.loads((directory / "checksums.json").read_bytes())
    if unproven := LOADED - expected.keys():
        raise RuntimeError(f"checksums.json does not vouch for {', '.join(sorted(unproven))}")
    contents = {name: _content(directory, name, digest) for name, digest in expected.items()}
    return {name: contents[name] for name in LOADED}


def _content(directory: Path, name: str, digest: str) -> bytes:
    try:
        content = (directory / name).read_bytes()
    except OSError:
        raise RuntimeError(f"{name} cannot be read") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise RuntimeError(f"{name} is not the file that training packed")
    return content


def _load(model: bytes, device: torch.device) -> torch.nn.Module:
    with warnings.catch_warnings():
        # torch 2.13 deprecates TorchScript, which is what TorchServe's archives hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        loaded: torch.nn.Module = torch.jit.load(io.BytesIO(model), map_location=device)  # type: ignore[no-untyped-call]
    return loaded.eval()


def _description(files: dict[str, bytes], device: str, *, half: bool) -> Description:
    return Description(
        contract=Contract.from_bytes(files["contract.json"]),
        card=ModelCard.from_json(json.loads(files["card.json"])),
        golden=GoldenRows.from_json(json.loads(files["golden.json"])),
        device=device,
        half_precision=half,
    )


def _device(gpu: int | str | None) -> torch.device:
    if gpu is None or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(gpu))


def _half_type(device: torch.device) -> torch.dtype:
    return torch.float16 if device.type == "cuda" else torch.bfloat16


def _refuse(context: Context, position: int, status: int, reason: str) -> bytes:
    context.set_response_status(status, reason, position)
    return reason.encode()
