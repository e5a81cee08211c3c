"""The .mar archive of one version, built with torch-model-archiver.

Inside: model.pt, fraud_handler.py, contract.json, card.json, golden.json, reference.json, report.json and report.html
(where there is a report), the contract package's sources (a worker needs nothing installed but torch and numpy) and
checksums.json: the SHA-256 of every other file but MAR-INF/.
The archiver stages in $TMPDIR/<model name>, so each build gets a temporary directory of its own; the finished file
appears under its name whole or not at all.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from contract.golden import GoldenRows
from contract.model_card import ModelCard
from contract.schema import Contract
from training.errors import TrainingError
from training.report.document import Document
from training.report.page import report_files

MODEL_NAME = "fraud"
MODEL, HANDLER, CHECKSUMS = "model.pt", "fraud_handler.py", "checksums.json"
SECONDS = 120
"""How long the archiver may take; it needs one or two."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What goes into an archive.

    Attributes:
        handler: the source of fraud_handler.py.
        report: the long form of the model card (`training.report.document`); None where nothing could be measured.
        reference: rows that look like traffic (`training.golden.reference`), for the release gate.
    """

    model: bytes
    contract: Contract
    card: ModelCard
    golden: GoldenRows
    handler: bytes
    report: Document | None = None
    reference: GoldenRows | None = None

    def contents(self) -> dict[str, bytes]:
        """The files by their names inside the archive, the checksums last."""
        golden = json.dumps(self.golden.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        contents = {
            MODEL: self.model,
            HANDLER: self.handler,
            "contract.json": self.contract.to_bytes(),
            "card.json": self.card.to_bytes(),
            "golden.json": golden.encode(),
        }
        if self.reference is not None:
            contents["reference.json"] = json.dumps(
                self.reference.to_json(), ensure_ascii=False, allow_nan=False
            ).encode()
        if self.report is not None:
            # Under the card's own version, which may have changed since the report was made.
            contents |= report_files(self.report | {"version": self.card.version})
        sources = [entry for entry in files("contract").iterdir() if entry.name.endswith(".py")]
        contents |= {f"contract/{entry.name}": _source(entry) for entry in sources}
        sums = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(contents.items())}
        return contents | {CHECKSUMS: (json.dumps(sums, indent=1) + "\n").encode()}


def installed_handler() -> bytes:
    """The source of the handler that serves the archives."""
    return _source(files("handlers") / HANDLER)


def build(parts: Parts, out: Path) -> Path:
    """Writes the archive into the directory `out`, over one of the same version, and returns its path.

    Raises:
        TrainingError: the archiver failed or the directory cannot be written.
    """
    name = f"{MODEL_NAME}-{parts.card.version}.mar"
    try:
        out.mkdir(parents=True, exist_ok=True)
        # In `out` itself: the last step is then a rename within one file system.
        with tempfile.TemporaryDirectory(prefix=".building-", dir=out) as directory:
            built = _run_archiver(parts, Path(directory))
            built.replace(out / name)
    except OSError as error:
        raise TrainingError(f"The archive {name} cannot be written to {out}: {error.strerror}.") from error
    return out / name


def _run_archiver(parts: Parts, work: Path) -> Path:
    """Runs the archiver in `work` with relative paths: it would split an absolute one at a comma."""
    staged = work / "staged"
    for name, data in parts.contents().items():
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        (staged / name).write_bytes(data)
    for directory in ("inputs", "built", "tmp"):
        (work / directory).mkdir()
    for name in (MODEL, HANDLER):
        (staged / name).rename(work / "inputs" / name)
    _archive(work, parts.card.version)
    return work / "built" / f"{MODEL_NAME}.mar"


def _archive(work: Path, version: int) -> None:
    command = [
        sys.executable, "-m", "model_archiver.model_packaging", "--model-name", MODEL_NAME, "--version", str(version),
        "--serialized-file", f"inputs/{MODEL}", "--handler", f"inputs/{HANDLER}", "--extra-files", "staged",
        "--export-path", "built",
    ]  # fmt: skip
    environment = os.environ | {"TMPDIR": "tmp"}
    done = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise TrainingError(f"torch-model-archiver failed: {last}")


def _source(entry: Traversable) -> bytes:
    try:
        return entry.read_bytes()
    except FileNotFoundError as error:
        raise TrainingError(f"The source {entry.name} is not installed.") from error
