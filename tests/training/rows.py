"""A small contract with every kind of feature, and rows for it."""

import numpy as np
from numpy.typing import NDArray

from contract.schema import Contract
from training.model import FraudModel, ModelConfig, column_statistics
from training.schema import parse_schema

SCHEMA = """
name = "small"
[columns.ref]
kind = "id"
[columns.when]
kind = "timestamp"
[columns.amount]
kind = "number"
minimum = 0.0
log = true
[columns.age]
kind = "number"
missing = "allow"
[columns.channel]
kind = "category"
missing = "allow"
min_count = 1
[columns.fraud]
kind = "label"
"""
AMOUNT, LOG, AGE, CHANNEL = 4, 5, 6, 7
"""Where these features stand in the matrix; the four of the time come before them."""


def contract() -> Contract:
    """Its category has the values chip and online."""
    return parse_schema(SCHEMA).contract({"channel": ("chip", "online")})


def matrix(rows: int = 400, seed: int = 0) -> NDArray[np.float32]:
    """Random rows: ages missing in some, channels chip, online and unknown."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, contract().width)).astype(np.float32)
    values[:, AMOUNT] = rng.uniform(0, 500, rows)
    values[rng.random(rows) < 0.2, AGE] = np.nan
    values[:, CHANNEL] = rng.choice([0, 2, 3], rows)
    return values


def labels(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Fraud where the amount is high."""
    return np.asarray(values[:, AMOUNT] > 400)


def model(values: NDArray[np.float32] | None = None, members: int = 1) -> FraudModel:
    """An untrained network that has measured these rows, ready to score."""
    measured = matrix() if values is None else values
    return FraudModel(
        ModelConfig(hidden=16, members=members), column_statistics(contract(), measured, labels(measured))
    ).eval()
