"""The training loop: batches in a seeded order, one learning-rate cycle, the epoch that validated best is kept.

The same seed, data and number of threads give the same weights, also where a training was killed at any moment and went
on from its checkpoint. On a GPU the layers are computed in bfloat16 where it has that; everything else is float32.
"""

import copy
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from training import resources
from training.checkpoint import Checkpoint, Checkpoints, TrainingState
from training.errors import TrainingError
from training.model import FraudModel
from training.optimiser import Optimiser
from training.progress import Epochs, Reporter

SCORING_ROWS = 1 << 13
"""Rows that go through the network at a time outside training: what they take stays near the processor."""
MIN_RANKED = 20
"""Frauds from which average precision chooses the epoch: on four frauds it was 1.0 after the first (LOG.md)."""
STEPS_BETWEEN_REPORTS = 50
TOLERANCE = 0.02
"""Of the best epoch's score: a later one that lacks no more is taken. Which of two is better by so little is chance on
some hundred frauds, and while the rate is high the scores of rows without a history swing from epoch to epoch: on the
simulator the later ones had .826 on the test for .822, and seeds agreed on such rows (LOG.md)."""
SAVED_FIELDS = ("epoch", "best_epoch", "score", "highest")


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How to train.

    Attributes:
        epochs: the largest number of epochs.
        patience: epochs without a better validation after which training stops. No fewer than an ordinary training
            has: where the rate is still high the score stands still, and stopped there it never falls (LOG.md).
        batch: rows of a step; 0 chooses it from the number of rows.
        learning_rate: at the top of the cycle.
        forgotten_share: of the rows of a step whose history features are set to their defaults, so that the model
            learns to score them: the state may be gone, or the card new (LOG.md).
    """

    epochs: int = 10
    patience: int = 10
    batch: int = 0
    learning_rate: float = 6e-3
    weight_decay: float = 0.1
    forgotten_share: float = 0.1

    def __post_init__(self) -> None:
        """Refuses to train for nothing."""
        if self.epochs < 1:
            raise TrainingError("Training needs at least one epoch.")


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """The rows of a period as the network takes them.

    Attributes:
        matrix: float32, shape (rows, width).
        labels: bool, shape (rows,): whether each row was fraud.
        default_history: the matrix with every history feature at its default; None without history features.
        weights: float32, shape (rows,): how many transactions each row stands for; None for one each.
    """

    matrix: NDArray[np.float32]
    labels: NDArray[np.bool_]
    default_history: NDArray[np.float32] | None = None
    weights: NDArray[np.float32] | None = None

    @property
    def both_classes(self) -> bool:
        """Whether there is a fraud and a genuine transaction among them."""
        return bool(self.labels.any()) and not bool(self.labels.all())

    @property
    def share_of_fraud(self) -> float:
        """Of the transactions that the rows stand for."""
        return float(np.average(self.labels, weights=self.weights))


@dataclass(frozen=True, slots=True)
class Run:
    """How training went; `best_epoch` counts from 1, `score` is its validation score, `batch` the rows of a step."""

    epochs: int
    best_epoch: int
    score: float
    batch: int
    precision: str


@dataclass(frozen=True, slots=True, eq=False)
class _TrainingTensors:
    """The training rows as tensors, and the share of them whose history is set to its defaults in a step.

    They lie on the device where they take less than half of what is free there.
    """

    device: torch.device
    matrix: Tensor
    labels: Tensor
    default_history: Tensor | None
    weights: Tensor
    forgotten_share: float

    @classmethod
    def on(cls, device: torch.device, rows: Examples, forgotten_share: float) -> Self:
        matrices = rows.matrix.nbytes * (1 if rows.default_history is None else 2)
        home = device if 2 * matrices < resources.free_memory(device) else torch.device("cpu")
        default_history = None if rows.default_history is None else torch.from_numpy(rows.default_history).to(home)
        labels = torch.from_numpy(rows.labels).float().to(home)
        weights = torch.ones(len(rows.labels)) if rows.weights is None else torch.from_numpy(rows.weights)
        return cls(
            device, torch.from_numpy(rows.matrix).to(home), labels, default_history,
            (weights / weights.mean()).to(home), forgotten_share,
        )  # fmt: skip

    def step(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The inputs of these rows, some with the defaults of their history, their labels and their weights."""
        inputs = self.matrix[rows]
        if self.default_history is not None:
            forgotten = torch.rand(len(rows), 1, device=self.matrix.device) < self.forgotten_share
            inputs = torch.where(forgotten, self.default_history[rows], inputs)
        return inputs.to(self.device), self.labels[rows].to(self.device), self.weights[rows].to(self.device)


def best_device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def reproducible(seed: int, threads: int = 1) -> Iterator[None]:
    """Seeds torch and sets its threads (see :func:`training.resources.threads`); restores both afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(resources.threads(threads))
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)


def fit(  # noqa: PLR0913 - model, data, configuration, reporting and checkpoints are separate concerns.
    model: FraudModel,
    train: Examples,
    validation: Examples,
    config: LoopConfig,
    reporter: Reporter,
    *,
    checkpoints: Checkpoints | None = None,
) -> Run:
    """Trains the model in place, on the device that it is on, and leaves it at its best epoch, in eval mode.

    A validation without rows keeps the last epoch. With `checkpoints` it goes on where a training that is the same in
    everything was ended.
    """
    checkpoint = (checkpoints or Checkpoints(None)).of(_identity(model, train, validation, config))
    training = _Training.begin(model, train, config)
    with reporter.epochs(config.epochs) as epochs:
        training.resume(checkpoint, reporter, epochs)
        while not training.finished:
            loss = training.epoch(checkpoint, epochs)
            training.validate(loss, validation, epochs)
        if checkpoint.path is not None:
            checkpoint.save(training.state())
    return training.result()


def _identity(model: FraudModel, train: Examples, validation: Examples, config: LoopConfig) -> str:
    """A hash of everything that a training starts from; equal hashes give equal weights."""
    digest = hashlib.sha256(json.dumps([asdict(config), torch.__version__, torch.get_num_threads()]).encode())
    digest.update(str(model.bias.device).encode() + torch.get_rng_state().numpy().tobytes())
    for name, values in model.state_dict().items():
        digest.update(name.encode() + values.cpu().contiguous().numpy().tobytes())
    for rows in (train, validation):
        for part in (rows.matrix, rows.labels, rows.default_history, rows.weights):
            digest.update(b"-" if part is None else np.ascontiguousarray(part).data)
    return digest.hexdigest()[:32]


@dataclass(slots=True, eq=False)
class _BestEpoch:
    """The weights of the latest epoch within TOLERANCE of the best score, for early stopping."""

    patience: int
    epoch: int = 0
    best_epoch: int = 0
    score: float = -math.inf
    highest: float = -math.inf
    state: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def stopped_improving(self) -> bool:
        """Whether no epoch of the last `patience` was about as good as the best."""
        return self.epoch - self.best_epoch >= self.patience

    def update(self, model: FraudModel, score: float) -> None:
        """Copies the weights if the score is about as good as the best."""
        self.epoch += 1
        self.highest = max(self.highest, score)
        if score >= self.highest - TOLERANCE * abs(self.highest):
            self.score, self.best_epoch = score, self.epoch
            self.state = copy.deepcopy(model.state_dict())

    def restore(self, model: FraudModel) -> None:
        if not self.state:
            raise TrainingError("Training did not converge: every epoch's validation score was not a number.")
        model.load_state_dict(self.state)
        model.eval()


def _optimiser(model: FraudModel, rows: int, config: LoopConfig, batch: int) -> Optimiser:
    # About what a row of a step takes: inputs and hidden values, and what is kept of them for the gradient.
    row_bytes = 4 * 8 * sum(parameter.shape[1] for parameter in model.layers.parameters()) * model.members
    batch = batch or resources.batch(rows, row_bytes, resources.free_memory(model.bias.device))
    total = config.epochs * math.ceil(rows / batch)
    return Optimiser.for_model(model, total, batch, config.learning_rate, config.weight_decay)


@dataclass(slots=True, eq=False)
class _Training:
    """The state of a running training: all that a checkpoint holds."""

    model: FraudModel
    tensors: _TrainingTensors
    steps: Optimiser
    best: _BestEpoch
    config: LoopConfig
    mixed: bool
    order: int
    batches: int = 0
    loss: Tensor = field(default_factory=lambda: torch.zeros(()))

    @classmethod
    def begin(cls, model: FraudModel, train: Examples, config: LoopConfig) -> Self:
        device = model.bias.device
        order = int(torch.randint(1 << 62, ()))
        mixed = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        steps = _optimiser(model, len(train.labels), config, config.batch)
        tensors, best = _TrainingTensors.on(device, train, config.forgotten_share), _BestEpoch(config.patience)
        return cls(model, tensors, steps, best, config, mixed, order, loss=torch.zeros((), device=device))

    @property
    def finished(self) -> bool:
        """Whether all epochs were run, or training stopped improving."""
        return self.best.epoch >= self.config.epochs or self.best.stopped_improving

    def epoch(self, checkpoint: Checkpoint, epochs: Epochs) -> float:
        """One pass over the rows in a new order, or the rest of one; the mean loss."""
        self.model.train()
        batches = self._batches()
        for rows in batches[self.batches :]:
            self._step(rows, self.best.epoch * len(batches) + self.batches)
            if checkpoint.due:
                checkpoint.save(self.state())
            if self.batches % STEPS_BETWEEN_REPORTS == 0:
                epochs.running(self.batches / len(batches), float(self.loss) / self.batches)
        mean = float(self.loss) / len(batches)
        self.batches, self.loss = 0, torch.zeros_like(self.loss)
        return mean

    def _batches(self) -> tuple[Tensor, ...]:
        """The rows in the order of this epoch, which follows from its number: a checkpoint need not hold it."""
        rng = torch.Generator().manual_seed(self.order + self.best.epoch)
        order = torch.randperm(len(self.tensors.labels), generator=rng)
        return torch.split(order.to(self.tensors.labels.device), self.steps.batch)

    def _step(self, rows: Tensor, step: int) -> None:
        inputs, labels, weights = self.tensors.step(rows)
        with torch.autocast(self.tensors.device.type, dtype=torch.bfloat16, enabled=self.mixed):
            values = self.model.member_logits(inputs)
        # Each member learns by itself: only what is served is their mean.
        loss = binary_cross_entropy_with_logits(values, labels.expand_as(values), weights.expand_as(values))
        self.steps.step(loss, step)
        self.batches += 1
        self.loss += loss.detach()

    def validate(self, loss: float, validation: Examples, epochs: Epochs) -> None:
        """Scores the epoch on the validation period."""
        score = float(self.best.epoch)  # Without validation the last epoch is the best.
        if len(validation.labels):
            values = logits(self.model, validation.matrix)
            score = validation_score(values, validation.labels, validation.weights)
        self.best.update(self.model, score)
        epochs.done(loss, score, self.best.score)

    def result(self) -> Run:
        """Leaves the model at its best epoch."""
        self.best.restore(self.model)
        precision = "bfloat16" if self.mixed else "float32"
        return Run(self.best.epoch, self.best.best_epoch, self.best.score, self.steps.batch, precision)

    def state(self) -> TrainingState:
        """What :meth:`resume` needs."""
        tensors = {f"model.{name}": values for name, values in self.model.state_dict().items()}
        tensors |= {f"best.{name}": values for name, values in self.best.state.items()}
        tensors |= {f"steps.{name}": values for name, values in self.steps.state().items()}
        tensors |= {"loss": self.loss, "random.cpu": torch.get_rng_state()}
        if self.tensors.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.tensors.device)
        numbers = {name: getattr(self.best, name) for name in SAVED_FIELDS}
        numbers |= {"batches": self.batches, "batch": self.steps.batch, "order": self.order}
        return TrainingState({name: values.detach().cpu().numpy() for name, values in tensors.items()}, numbers)

    def resume(self, checkpoint: Checkpoint, reporter: Reporter, epochs: Epochs) -> None:
        """Goes on where the checkpoint was written, if there is one."""
        state = checkpoint.load()
        if state is None:
            return
        tensors = {name: torch.from_numpy(np.array(values)) for name, values in state.arrays.items()}
        self._restore(tensors, state.numbers)
        reporter.say(f"a checkpoint was found: going on after epoch {self.best.epoch}, step {self.batches}")
        epochs.resumed(self.best.epoch)

    def _restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        self.model.load_state_dict(_with_prefix("model.", tensors))
        best = {name: numbers[name] for name in SAVED_FIELDS}
        self.best = _BestEpoch(self.config.patience, **best, state=_with_prefix("best.", tensors))
        # The memory that is free may have changed since, and with it the batch that would be chosen now.
        self.steps = _optimiser(self.model, len(self.tensors.labels), self.config, numbers["batch"])
        self.steps.restore(_with_prefix("steps.", tensors))
        self.order, self.batches = numbers["order"], numbers["batches"]
        self.loss = tensors["loss"].to(self.tensors.device)
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self.tensors.device)


def _with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): values for name, values in tensors.items() if name.startswith(prefix)}


def validation_score(
    values: NDArray[np.float32], labels: NDArray[np.bool_], weights: NDArray[np.float32] | None = None
) -> float:
    """Average precision, or minus the log loss where too few of a class are there to rank. Higher is better."""
    if MIN_RANKED <= labels.sum() <= len(labels) - MIN_RANKED:
        return float(average_precision_score(labels, values, sample_weight=weights))
    signed = np.where(labels, values, -values).astype(np.float64)
    return -float(np.average(np.logaddexp(0, -signed), weights=weights))


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
