"""A training that was ended at any moment goes on from here: its state in a file, whole or not at all.

A file holds arrays and a few numbers, as NumPy's format and JSON; nothing is pickled. Its name is the identity of the
training (same rows, settings, seed, starting weights, libraries: any difference gives another name), its first
line the SHA-256 of the rest. A file that does not fit it is ignored: training then begins anew and ends the same.
"""

import contextlib
import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

SUFFIX = ".checkpoint"
INTERVAL_SECONDS = 5.0
"""Between two checkpoints: writing one takes some milliseconds."""
MAX_AGE_SECONDS = 7 * 86_400.0
"""Older files are removed."""
NUMBERS = "numbers.json"


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """What a training needs to go on: arrays, and what JSON can hold, by name."""

    arrays: Arrays
    numbers: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Checkpoints:
    """The directory of the states, made when the first is written.

    Attributes:
        directory: where; None keeps none.
        seconds: between two states of one training; 0 writes one after each step.
        resume: whether a state that is found is used.
        say: called with messages for a person.
    """

    directory: Path | None
    seconds: float = INTERVAL_SECONDS
    resume: bool = True
    say: Callable[[str], None] = field(default=lambda _: None)
    _written: list[Path] = field(default_factory=list)

    def of(self, identity: str) -> "Checkpoint":
        """The one of a training."""
        path = None if self.directory is None else self.directory / f"{identity}{SUFFIX}"
        if path is not None:
            self._written.append(path)
        return Checkpoint(path, self.seconds, self.resume, self.say)

    def clear(self) -> None:
        """Removes the files of this process, and those older than MAX_AGE_SECONDS."""
        if self.directory is None:
            return
        for path in (*self._written, *_expired(self.directory)):
            with contextlib.suppress(OSError):  # What could not be written cannot be removed either.
                path.unlink()
        with contextlib.suppress(OSError):  # Another training's state may lie there.
            self.directory.rmdir()


def _expired(directory: Path) -> Iterator[Path]:
    oldest = time.time() - MAX_AGE_SECONDS
    for path in directory.glob(f"*{SUFFIX}*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                yield path


@dataclass(slots=True, eq=False)
class Checkpoint:
    """The state of one training."""

    path: Path | None
    seconds: float
    resume: bool
    say: Callable[[str], None]
    last: float = field(default_factory=time.monotonic)

    @property
    def due(self) -> bool:
        """Whether a state should be written now."""
        return self.path is not None and time.monotonic() - self.last >= self.seconds

    def load(self) -> TrainingState | None:
        """The state that was written last; None where there is none, it is damaged, or it is not wanted."""
        if self.path is None or not self.resume:
            return None
        try:
            state = _parse(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError:
            state = None
        if state is None:
            self.say(f"{self.path.name} is damaged and was ignored: training begins anew")
        return state

    def save(self, state: TrainingState) -> None:
        """Writes a state in place of the last: who is killed meanwhile leaves that one.

        Where it cannot be written the training goes on: it is only the work since then that a kill would cost.
        """
        self.last = time.monotonic()
        try:
            if self.path is not None:
                _write(self.path, _pack(state))
        except OSError as error:
            self.say(f"no checkpoint is written ({error.strerror}): who stops this training starts it anew")
            self.path = None


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            file.write(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _pack(state: TrainingState) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(NUMBERS, json.dumps(dict(state.numbers)))
        for name, values in state.arrays.items():
            with file.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asanyarray(values), allow_pickle=False)
    return buffer.getvalue()


def _parse(content: bytes) -> TrainingState | None:
    digest, _, data = content.partition(b"\n")
    if hashlib.sha256(data).hexdigest().encode() != digest:
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != NUMBERS}
        return TrainingState(arrays, json.loads(file[NUMBERS]))
