"""One small version, trained once and looked at by many tests."""

import os
from pathlib import Path

import pytest

from training.simulator import Simulation
from training.train import Trained, TrainRequest, train

TINY = Simulation(days=60, customers=150, terminals=200)
"""About 15,000 transactions: a second or two of training."""


@pytest.fixture(scope="session")
def handler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for the handler's source: training packs it and never runs it."""
    path = tmp_path_factory.mktemp("handler") / "fraud_handler.py"
    path.write_text("# handler\n")
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, handler: Path) -> Trained:
    """Version 3, trained for two epochs on the simulator; `TRAIN_SEED` and `TRAIN_THREADS` train another one."""
    return train(tiny_request(tmp_path_factory.mktemp("store"), handler))


def tiny_request(out: Path, handler: Path) -> TrainRequest:
    """What it is trained by."""
    seed, threads = (int(os.environ.get(name, "0")) for name in ("TRAIN_SEED", "TRAIN_THREADS"))
    return TrainRequest(version=3, out=out, simulation=TINY, epochs=2, handler=handler, seed=seed, threads=threads)
