"""The training loop: batches in a seeded order, one learning-rate cycle, the epoch that validated best is kept.

The same seed, data and number of threads give the same weights. The best state stays in memory; nothing is written.
"""

import copy
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from training.errors import TrainingError
from training.model import FraudModel
from training.progress import Epochs, Reporter

SCORING_ROWS = 1 << 16
"""Rows that go through the network at a time outside training."""
SMALLEST_BATCH, LARGEST_BATCH = 64, 2048
FEWEST_RANKED = 20
"""Frauds from which average precision chooses the epoch: on four frauds it was 1.0 after the first (LOG.md)."""
STEPS_PER_EPOCH = 150
"""What a batch is sized for, within its limits: small data gets small batches, so that it gets enough steps."""


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How to train.

    Attributes:
        epochs: at most so many.
        patience: epochs without a better validation after which training stops.
        batch: rows of a step; 0 chooses it from the number of rows.
        learning_rate: at the top of the cycle.
        forgotten_share: of the rows of a step that are shown with a neutral history, so that the model knows what to
            make of one: the state may be gone, or the card new (LOG.md).
    """

    epochs: int = 10
    patience: int = 4
    batch: int = 0
    learning_rate: float = 4e-3
    weight_decay: float = 0.3
    forgotten_share: float = 0.1

    def __post_init__(self) -> None:
        """Refuses to train for nothing."""
        if self.epochs < 1:
            raise TrainingError("Training needs at least one epoch.")


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A period.

    Attributes:
        matrix: float32, shape (rows, width).
        labels: bool, shape (rows,): whether each row was fraud.
        neutral: the matrix as it is when nothing is known of earlier transactions; None where that changes nothing.
    """

    matrix: NDArray[np.float32]
    labels: NDArray[np.bool_]
    neutral: NDArray[np.float32] | None = None

    @property
    def both_classes(self) -> bool:
        """Whether there is a fraud and a genuine transaction among them."""
        return bool(self.labels.any()) and not bool(self.labels.all())


@dataclass(frozen=True, slots=True)
class Run:
    """How training went: epochs run, the one that was kept (from 1), its validation score, and the batch size."""

    epochs: int
    best_epoch: int
    score: float
    batch: int


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """The rows to learn from, on the device, and the share of them whose history is forgotten for a step."""

    matrix: Tensor
    labels: Tensor
    neutral: Tensor | None
    forgotten_share: float

    @classmethod
    def on(cls, device: torch.device, rows: Rows, forgotten_share: float) -> Self:
        neutral = None if rows.neutral is None else torch.from_numpy(rows.neutral).to(device)
        labels = torch.from_numpy(rows.labels).float().to(device)
        return cls(torch.from_numpy(rows.matrix).to(device), labels, neutral, forgotten_share)

    def inputs(self, rows: Tensor) -> Tensor:
        """What the network sees of these rows in one step."""
        if self.neutral is None:
            return self.matrix[rows]
        forgotten = torch.rand(len(rows), 1, device=rows.device) < self.forgotten_share
        return torch.where(forgotten, self.neutral[rows], self.matrix[rows])


def _batch(rows: int) -> int:
    """A power of two."""
    wanted = max(SMALLEST_BATCH, min(LARGEST_BATCH, rows // STEPS_PER_EPOCH))
    return 1 << round(math.log2(wanted))


def best_device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def reproducible(seed: int, threads: int = 1) -> Iterator[None]:
    """Seeds torch and takes so many threads, 0 for one a core of this process; both are put back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or _cores())
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fit(model: FraudModel, train: Rows, validation: Rows, config: LoopConfig, reporter: Reporter) -> Run:
    """Trains the model in place, on the device that it is on, and leaves it at its best epoch, in eval mode."""
    shown = _Shown.on(model.bias.device, train, config.forgotten_share)
    steps = _Steps.over(model, len(train.labels), config)
    keeper = _Keeper(config.patience)
    with reporter.epochs(config.epochs) as epochs:
        for _ in range(config.epochs):
            loss = _epoch(model, shown, steps)
            if _finished(model, validation, loss, keeper, epochs):
                break
    return keeper.restore(model, steps.batch)


class _Keeper:
    """The best state so far and how long ago it was."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.epoch = self.best_epoch = 0
        self.score = -math.inf
        self.state: dict[str, Tensor] = {}

    def offer(self, model: FraudModel, score: float) -> bool:
        """Takes the state if it is the best; true when patience is at its end."""
        self.epoch += 1
        if score > self.score:
            self.score, self.best_epoch = score, self.epoch
            self.state = copy.deepcopy(model.state_dict())
        return self.epoch - self.best_epoch >= self.patience

    def restore(self, model: FraudModel, batch: int) -> Run:
        if not self.state:
            raise TrainingError("Training did not converge: every epoch's validation score was not a number.")
        model.load_state_dict(self.state)
        model.eval()
        return Run(self.epoch, self.best_epoch, self.score, batch)


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """What moves the weights: AdamW over one cycle of the learning rate, in batches of so many rows."""

    optimiser: torch.optim.AdamW
    cycle: torch.optim.lr_scheduler.OneCycleLR
    batch: int

    @classmethod
    def over(cls, model: FraudModel, rows: int, config: LoopConfig) -> Self:
        batch = config.batch or _batch(rows)
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        steps = config.epochs * math.ceil(rows / batch)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=steps, pct_start=0.2)
        return cls(optimiser, cycle, batch)

    def take(self, loss: Tensor) -> None:
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.cycle.step()


def _epoch(model: FraudModel, shown: _Shown, steps: _Steps) -> float:
    """One pass over the rows in a new order; the mean loss."""
    model.train()
    device = shown.labels.device
    total = torch.zeros((), device=device)
    for rows in torch.split(torch.randperm(len(shown.labels)).to(device), steps.batch):
        loss = binary_cross_entropy_with_logits(model.logits(shown.inputs(rows)), shown.labels[rows])
        steps.take(loss)
        total += loss.detach() * len(rows)
    return float(total) / len(shown.labels)


def _finished(model: FraudModel, validation: Rows, loss: float, keeper: _Keeper, epochs: Epochs) -> bool:
    score = validation_score(logits(model, validation.matrix), validation.labels)
    stop = keeper.offer(model, score)
    epochs.done(loss, score, keeper.score)
    return stop


def validation_score(values: NDArray[np.float32], labels: NDArray[np.bool_]) -> float:
    """Average precision, or minus the log loss where too few of a class are there to rank. Higher is better."""
    if FEWEST_RANKED <= labels.sum() <= len(labels) - FEWEST_RANKED:
        return float(average_precision_score(labels, values))
    signed = np.where(labels, values, -values).astype(np.float64)
    return -float(np.logaddexp(0, -signed).mean())


def logits(model: FraudModel, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The model's log-odds before calibration for any number of rows: float32, shape (rows,)."""
    return _in_blocks(model, model.logits, matrix)


def probabilities(model: FraudModel, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The model's probabilities for any number of rows: float32, shape (rows,)."""
    return _in_blocks(model, model.forward, matrix)


def _in_blocks(
    model: FraudModel, compute: Callable[[Tensor], Tensor], matrix: NDArray[np.float32]
) -> NDArray[np.float32]:
    model.eval()
    with torch.inference_mode():
        blocks = torch.split(torch.from_numpy(matrix), SCORING_ROWS)
        scores = [compute(block.to(model.bias.device)).cpu() for block in blocks]
    values: NDArray[np.float32] = torch.cat(scores).numpy()
    return values
