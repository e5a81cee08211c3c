"""A training that is killed: `python -m tests.training.killed DIRECTORY STEP` keeps its checkpoints in there."""

import hashlib
import os
import signal
import sys
from pathlib import Path

from tests.training import rows
from training import loop
from training.checkpoint import Checkpoint, Checkpoints, TrainingState
from training.model import FraudModel, ModelConfig, column_statistics
from training.progress import Reporter, silent

CONFIG = loop.LoopConfig(epochs=4, batch=64)
STEPS = 64


def period(count: int, seed: int) -> loop.Examples:
    """Rows with a history to forget, so that every kind of random number is drawn."""
    matrix = rows.matrix(count, seed)
    default_history = matrix.copy()
    default_history[:, rows.AGE] = 0
    return loop.Examples(matrix, rows.labels(matrix), default_history)


def train(checkpoints: Checkpoints, config: loop.LoopConfig = CONFIG, output: Reporter | None = None) -> FraudModel:
    """The training: STEPS steps."""
    known = period(1024, 1)
    with loop.reproducible(7):
        model = FraudModel(
            ModelConfig(hidden=16, members=2), column_statistics(rows.contract(), known.matrix, known.labels)
        )
        loop.fit(model, known, period(256, 2), config, output or silent(), checkpoints=checkpoints)
    return model


def weights(model: FraudModel) -> str:
    """Their hash."""
    output = hashlib.sha256()
    for name, values in model.state_dict().items():
        output.update(name.encode() + values.numpy().tobytes())
    return output.hexdigest()


class _Fatal(Checkpoint):
    """Writes every third state, and ends its process with SIGKILL at a step."""

    left = 0

    def save(self, state: TrainingState) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.left % 3 == 0:
            super().save(state)


class _Doomed(Checkpoints):
    """Whoever keeps its state here does not live long."""

    def of(self, identity: str) -> Checkpoint:
        own = super().of(identity)
        fatal = _Fatal(own.path, own.seconds, own.resume, own.say)
        fatal.left = int(sys.argv[2])
        return fatal


if __name__ == "__main__":
    train(_Doomed(Path(sys.argv[1]), seconds=0.0))
