"""From a contract and two periods to a calibrated network: its columns measured, its weights trained, its calibration.

Whoever trains goes this way: `fraud train`, its comparison without history, the search for settings, the benchmarks.
"""

from dataclasses import dataclass, field
from typing import Any

from contract.schema import Contract
from training import evaluation, loop
from training.checkpoint import Checkpoints
from training.loop import Examples, LoopConfig, Run
from training.model import FraudModel, ModelConfig, column_statistics
from training.progress import Reporter
from training.quantity import quantity


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How to train: the network's size, and the loop's settings."""

    network: ModelConfig = field(default_factory=ModelConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)


@dataclass(frozen=True, slots=True, eq=False)
class FittedModel:
    """A calibrated model and its training run; `tuning` describes the search for its settings, if there was one."""

    settings: TrainingSettings
    model: FraudModel
    run: Run
    device: str
    calibration: evaluation.Calibration
    tuning: dict[str, Any] = field(default_factory=dict)


def fit(
    contract: Contract,
    periods: tuple[Examples, Examples],
    settings: TrainingSettings,
    reporter: Reporter,
    checkpoints: Checkpoints | None = None,
) -> FittedModel:
    """Trains on the first period, chooses the epoch and calibrates on the second; random numbers are torch's own.

    Raises:
        TrainingError: the training did not converge.
    """
    train, validation = periods
    columns = column_statistics(contract, train.matrix, train.labels, settings.network.pieces, train.weights)
    model = FraudModel(settings.network, columns, train.share_of_fraud).to(loop.best_device())
    run = loop.fit(model, train, validation, settings.loop, reporter, checkpoints=checkpoints)
    reporter.say(f"{quantity(run.epochs, 'epoch')} on {model.bias.device}; the best was epoch {run.best_epoch}")
    return FittedModel(settings, model, run, str(model.bias.device), _calibrated(model, validation))


def _calibrated(model: FraudModel, validation: Examples) -> evaluation.Calibration:
    calibration = evaluation.calibrate(loop.logits(model, validation.matrix), validation.labels, validation.weights)
    model.slope.fill_(calibration.slope)
    model.intercept.fill_(calibration.intercept)
    return calibration
