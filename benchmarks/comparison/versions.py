"""The two versions that are compared: the default model, and one of the same columns without `[[history]]`.

Both are trained once and kept in a folder named by the digest of the sources that they are made of. How good they are
does not matter here, so one epoch is enough; the network is the default one.
"""

import hashlib
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from training.schema import DEFAULT
from training.simulator import Simulation, simulate

ROOT = Path(__file__).parents[2]
SOURCES = ("contract", "handlers", "training", "history")
FOLDER = ROOT / "build" / "bench-versions"
"""Not below benchmarks/: an unpacked archive has Python files, which would be taken for the project's own."""
DAYS = 60
EPOCHS = 1
MODEL, CONTRACT = "model.pt", "contract.json"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One trained version.

    Attributes:
        store: a model store that holds it alone, as version 1.
        unpacked: a folder with what is in its archive.
    """

    store: Path
    unpacked: Path

    @property
    def archive(self) -> Path:
        """Its .mar file."""
        return self.store / "fraud-1.mar"


def trained() -> tuple[ModelVersion, ModelVersion]:
    """The version with history and the one without, trained where they are not there."""
    own = FOLDER / _digest()
    own.mkdir(parents=True, exist_ok=True)
    return _with_history(own / "history"), _without_history(own / "plain")


def _digest() -> str:
    digest = hashlib.sha256()
    for part in SOURCES:
        for file in sorted((ROOT / part).rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _with_history(directory: Path) -> ModelVersion:
    if not (directory / "unpacked" / MODEL).exists():
        _train(directory)
    return ModelVersion(directory / "model_store", directory / "unpacked")


def _without_history(directory: Path) -> ModelVersion:
    if not (directory / "unpacked" / MODEL).exists():
        directory.mkdir(parents=True, exist_ok=True)
        schema, data = directory / "plain.toml", directory / "labelled.csv"
        schema.write_text(re.split(r"^(?:#[^\n]*\n)?\[\[history\]\]", DEFAULT.read_text(), maxsplit=1, flags=re.M)[0])
        frame = simulate(Simulation(days=DAYS))
        times = frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S")
        frame.assign(timestamp=times).to_csv(data, index=False)
        _train(directory, "--data", data.name, "--schema", schema.name)
    return ModelVersion(directory / "model_store", directory / "unpacked")


def _train(directory: Path, *options: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    command = [str(Path(sys.executable).with_name("fraud")), "train", "--epochs", str(EPOCHS), *options]
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL, timeout=600)
    with zipfile.ZipFile(directory / "model_store" / "fraud-1.mar") as archive:
        archive.extractall(directory / "unpacked")
