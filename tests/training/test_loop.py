import io

import numpy as np
import pytest
import torch
from rich.console import Console

from tests.training import rows
from training import loop
from training.errors import TrainingError
from training.model import FraudModel
from training.progress import Reporter, silent


def _period(count: int, seed: int) -> loop.Rows:
    matrix = rows.matrix(count, seed)
    return loop.Rows(matrix, rows.labels(matrix))


TRAIN, VALIDATION = _period(1500, 1), _period(500, 2)


def _trained(config: loop.LoopConfig, validation: loop.Rows = VALIDATION) -> tuple[FraudModel, loop.Run]:
    with loop.reproducible(5):
        model = rows.model(TRAIN.matrix)
        return model, loop.fit(model, TRAIN, validation, config, silent())


def test_it_learns_a_plain_rule() -> None:
    """Fraud above an amount is found after a few epochs."""
    _, run = _trained(loop.LoopConfig(epochs=6))
    assert run.score > 0.95


def test_same_seed_same_weights() -> None:
    """Two runs with one seed end in equal weights."""
    one, other = (_trained(loop.LoopConfig(epochs=2))[0].state_dict() for _ in range(2))
    for name, values in one.items():
        assert torch.equal(values, other[name]), name


def test_training_leaves_torch_as_it_found_it() -> None:
    """The caller's random numbers and threads are its own."""
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    threads = torch.get_num_threads()
    _trained(loop.LoopConfig(epochs=1))
    assert torch.rand(1) == expected
    assert torch.get_num_threads() == threads


def test_it_stops_when_validation_gets_no_better() -> None:
    """Without a better epoch for as long as the patience lasts, the best one is kept."""
    matrix = rows.matrix(500, 3)
    noise = loop.Rows(matrix, np.random.default_rng(0).random(500) < 0.3)
    _, run = _trained(loop.LoopConfig(epochs=40, patience=2), noise)
    assert run.epochs == run.best_epoch + 2


@pytest.mark.parametrize("fraud", [True, False])
def test_a_validation_of_one_class_still_chooses_an_epoch(fraud: bool) -> None:
    """Where nothing can be ranked the log loss decides."""
    one_class = loop.Rows(VALIDATION.matrix, np.full(500, fraud))
    _, run = _trained(loop.LoopConfig(epochs=2), one_class)
    assert np.isfinite(run.score)


def test_no_epochs_are_refused() -> None:
    """Training for no epoch is a mistake."""
    with pytest.raises(TrainingError, match="at least one epoch"):
        loop.LoopConfig(epochs=0)


def test_a_terminal_sees_the_metrics() -> None:
    """An interactive console gets a bar with the running validation score; another one gets no bar."""
    for interactive in (True, False):
        console = Console(file=io.StringIO(), force_terminal=interactive, width=120)
        with Reporter(console).epochs(2) as epochs:
            epochs.done(0.5, 0.7, 0.7)
        assert isinstance(console.file, io.StringIO)
        assert ("0.7000" in console.file.getvalue()) is interactive
