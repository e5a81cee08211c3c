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


def _period(count: int, seed: int) -> loop.Examples:
    matrix = rows.matrix(count, seed)
    return loop.Examples(matrix, rows.labels(matrix))


TRAIN, VALIDATION = _period(1500, 1), _period(500, 2)


def _trained(config: loop.LoopConfig, validation: loop.Examples = VALIDATION) -> tuple[FraudModel, loop.Run]:
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


def _with_history(seed: int) -> loop.Examples:
    """Fraud is told by the age, which is 0 where the past is not known, and less surely by the amount."""
    matrix = np.nan_to_num(rows.matrix(3000, seed))
    rng = np.random.default_rng(seed)
    labels = matrix[:, rows.AMOUNT] + rng.normal(0, 60, len(matrix)) > 450
    matrix[:, rows.AGE] = np.where(labels, 1, -1) + rng.normal(0, 0.1, len(matrix))
    default_history = matrix.copy()
    default_history[:, rows.AGE] = 0
    return loop.Examples(matrix, labels, default_history)


def _loss_without_a_past(share: float) -> float:
    train, test = _with_history(1), _with_history(2)
    assert test.default_history is not None
    with loop.reproducible(5):
        model = rows.model(train.matrix)
        loop.fit(model, train, test, loop.LoopConfig(epochs=6, forgotten_share=share), silent())
    values = loop.logits(model, test.default_history).astype(np.float64)
    return float(np.logaddexp(0, np.where(test.labels, -values, values)).mean())


def test_what_is_forgotten_in_training_may_be_missing_in_service() -> None:
    """A model that was shown rows without a past still tells a fraud by the rest of a row."""
    assert _loss_without_a_past(0.1) < 0.8 * _loss_without_a_past(0.0)


def test_rows_that_are_always_forgotten_teach_nothing_of_the_past() -> None:
    """With a share of one the network never sees a history: what it says of a row does not depend on it."""
    train = _with_history(1)
    assert train.default_history is not None
    blank = loop.Examples(train.default_history, train.labels)
    states = []
    for shown, share in (
        (train, 1.0),
        (loop.Examples(train.default_history, train.labels, train.default_history), 0.5),
    ):
        with loop.reproducible(5):
            model = rows.model(train.matrix)
            loop.fit(model, shown, blank, loop.LoopConfig(epochs=2, forgotten_share=share), silent())
        states.append(model.state_dict())
    for name, values in states[0].items():
        assert torch.equal(values, states[1][name]), name


def test_without_history_nothing_is_forgotten() -> None:
    """Rows that have none are trained on as ever, whatever the share."""
    one, other = (_trained(loop.LoopConfig(epochs=1, forgotten_share=share))[0] for share in (0.0, 0.5))
    assert torch.equal(one.head, other.head)


def test_it_stops_when_validation_gets_no_better() -> None:
    """Without a better epoch for as long as the patience lasts, the best one is kept."""
    matrix = rows.matrix(500, 3)
    noise = loop.Examples(matrix, np.random.default_rng(0).random(500) < 0.3)
    _, run = _trained(loop.LoopConfig(epochs=40, patience=2), noise)
    assert run.epochs == run.best_epoch + 2


def test_of_similarly_good_epochs_the_latest_is_restored() -> None:
    """A later one may lack a fiftieth of the best score; one that lacks more is not taken, nor one without a score."""
    keeper, model = loop._BestEpoch(patience=9), rows.model(rows.matrix(50, 1))
    taken = []
    for score in (0.5, 0.8, 0.785, float("nan"), 0.78, 0.9, 0.883, -1.0):
        keeper.update(model, score)
        taken.append(keeper.best_epoch)
    assert taken == [1, 2, 3, 3, 3, 6, 7, 7]


def test_an_ordinary_training_ends_its_cycle() -> None:
    """Patience never cuts the epochs in which the rate falls, however the validation goes."""
    matrix = rows.matrix(500, 3)
    noise = loop.Examples(matrix, np.random.default_rng(0).random(500) < 0.3)
    _, run = _trained(loop.LoopConfig(), noise)
    assert run.epochs == loop.LoopConfig().epochs


@pytest.mark.parametrize("fraud", [True, False])
def test_a_validation_of_one_class_still_chooses_an_epoch(fraud: bool) -> None:
    """Where nothing can be ranked the log loss decides."""
    one_class = loop.Examples(VALIDATION.matrix, np.full(500, fraud))
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
