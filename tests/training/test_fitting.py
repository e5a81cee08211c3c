from dataclasses import replace

import numpy as np

from tests.training import rows
from training import loop
from training.fitting import FittedModel, TrainingSettings, fit
from training.loop import Examples, LoopConfig
from training.model import ModelConfig
from training.progress import silent

SETTINGS = TrainingSettings(ModelConfig(hidden=16), LoopConfig(epochs=4))


def _period(count: int, seed: int) -> Examples:
    matrix = rows.matrix(count, seed)
    return Examples(matrix, rows.labels(matrix))


def _fitted(train: Examples, validation: Examples) -> FittedModel:
    with loop.reproducible(0):
        return fit(rows.contract(), (train, validation), SETTINGS, silent())


def test_it_is_calibrated_on_the_second_period() -> None:
    """The module's own calibration is what was fitted, and its probabilities keep the share of fraud."""
    validation = _period(600, 2)
    fitted = _fitted(_period(1500, 1), validation)
    assert fitted.settings == SETTINGS
    assert float(fitted.model.slope) == np.float32(fitted.calibration.slope)
    mean = loop.probabilities(fitted.model, validation.matrix).mean()
    assert abs(float(mean) - validation.share_of_fraud) < 0.02


def test_a_weight_counts_as_so_many_rows() -> None:
    """Genuine rows of weight ten make fraud as rare as it was: the network's start knows the true share."""
    plain = _period(400, 1)
    weighted = replace(plain, weights=np.where(plain.labels, 1, 10).astype(np.float32))
    share = float(plain.labels.mean())
    assert weighted.share_of_fraud == share / (share + 10 * (1 - share))


def test_weights_change_what_is_learned() -> None:
    """Rows that count a hundred times push the probabilities of their like down."""
    train, validation = _period(1500, 1), _period(600, 2)
    heavy = replace(train, weights=np.where(train.labels, 1, 100).astype(np.float32))
    light, low = (loop.logits(_fitted(known, validation).model, validation.matrix) for known in (train, heavy))
    assert low.mean() < light.mean()


def test_without_a_validation_the_last_epoch_is_kept() -> None:
    """Nothing is chosen where nothing can be compared."""
    fitted = _fitted(_period(800, 1), _period(0, 2))
    assert fitted.run.best_epoch == fitted.run.epochs == SETTINGS.loop.epochs
    assert fitted.calibration.slope == 1.0
