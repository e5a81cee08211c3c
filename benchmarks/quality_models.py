"""The models that are compared: the product as `fraud train` fits it, and other models, on the same rows and features.

Every model gets the same training rows, and the same validation rows to stop on; several seeds of each are averaged
alike. How far their settings were searched stands in training/LOG.md. A tree's bins must be fine: with the 255 of
a default LightGBM the amount rule falls inside the top bin.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from contract.schema import Contract
from training import loop
from training.fitting import TrainingSettings, fit
from training.loop import Examples
from training.progress import silent
from training.report.trees import grow

Floats = NDArray[np.float64]
PRODUCT = "this network"
SEARCHED = {"learning_rate": 0.02, "feature_fraction": 0.5, "min_data_in_leaf": 100}
"""Of LightGBM: the best of five settings on the earlier folds (own windows: .7418, the report's own settings .7384); it
takes two to four times as long."""
XGBOOST = {
    "objective": "binary:logistic", "eval_metric": "logloss", "tree_method": "exact", "eta": 0.1, "max_depth": 5,
    "subsample": 0.8, "colsample_bytree": 0.8, "nthread": 1, "verbosity": 0,
}  # fmt: skip
BINNED = {"tree_method": "hist", "max_bin": 8192}
"""Of XGBoost where there are more than EXACT_ROWS rows: exact splits take hours there."""
EXACT_ROWS = 200_000
ROUNDS, EARLY_STOPPING_ROUNDS = 1000, 50


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What to learn from and what to score: `test` is a float32 matrix, shape (rows, contract.width)."""

    contract: Contract
    train: Examples
    validation: Examples
    test: NDArray[np.float32]


Model = Callable[[Task, int], Floats]
"""From a task and a seed to the probabilities of the test's rows, float64, shape (rows,)."""


def product(task: Task, seed: int) -> Floats:
    """The network, trained and calibrated as `fraud train` does it by default."""
    with loop.reproducible(seed, threads=1):
        fitted = fit(task.contract, (task.train, task.validation), TrainingSettings(), silent())
    return loop.probabilities(fitted.model, task.test).astype(np.float64)


def lightgbm(task: Task, seed: int, **others: float) -> Floats:
    """LightGBM as the reports have it, with as many bins as validate better; `others` are settings of it."""
    trees = grow(task.train, task.validation, (), seed=seed, **others)
    result: Floats = 1 / (1 + np.exp(-trees.logits(task.test)))
    return result


def xgboost(task: Task, seed: int) -> Floats:
    """XGBoost, with exact splits up to EXACT_ROWS rows."""
    import xgboost as library  # noqa: PLC0415 - it is not installed with the project: `make quality` does it.

    def matrix(rows: Examples) -> Any:  # noqa: ANN401 - it publishes no types.
        return library.DMatrix(rows.matrix, rows.labels.astype(float), weight=rows.weights)

    settings = XGBOOST | {"seed": seed} | (BINNED if len(task.train.labels) > EXACT_ROWS else {})
    stopping = {"evals": [(matrix(task.validation), "validation")], "early_stopping_rounds": EARLY_STOPPING_ROUNDS}
    trees = library.train(settings, matrix(task.train), ROUNDS, **stopping, verbose_eval=False)
    return np.asarray(trees.predict(library.DMatrix(task.test), iteration_range=(0, trees.best_iteration + 1)), float)


def logistic(task: Task, seed: int) -> Floats:
    """Logistic regression on standardised numbers; a missing one counts as the training rows' mean."""
    line = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=1000, random_state=seed))
    weights = {"logisticregression__sample_weight": task.train.weights}
    line.fit(task.train.matrix, task.train.labels, **weights)
    result: Floats = line.predict_proba(task.test)[:, 1].astype(np.float64)
    return result


MODELS: dict[str, Model] = {
    PRODUCT: product,
    "LightGBM": lightgbm,
    "LightGBM, searched": lambda task, seed: lightgbm(task, seed, **SEARCHED),
    "XGBoost": xgboost,
    "logistic regression": logistic,
}


def mean_over_seeds(model: Model, task: Task, seeds: int) -> Floats:
    """The mean probabilities of `seeds` trainings."""
    mean: Floats = np.mean([model(task, seed) for seed in range(seeds)], axis=0)
    return mean
