"""A small labelled file that a model learns in a second, and versions trained on it."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from operations.retraining.train import TrainOptions, train
from operations.store.registry import Entry, Registry


def claims(rows: int = 2400, seed: int = 1) -> pd.DataFrame:
    """Claims in order of time over 100 days, one in ten fake: heavier, and from the east."""
    draw = np.random.default_rng(seed)
    fake = draw.random(rows) < 0.1
    filed = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.linspace(0, 100 * 86_400, rows).round(), unit="s")
    return pd.DataFrame({
        "claim": [f"claim-{number}" for number in range(rows)],
        "filed": filed.strftime("%Y-%m-%dT%H:%M:%S"),
        "kilograms": draw.normal(np.where(fake, 25, 12), 6).round(2),
        "region": np.where(draw.random(rows) < np.where(fake, 0.7, 0.2), "east", "west"),
        "fake": fake.astype(int),
    })  # fmt: skip


def unlearnable(frame: pd.DataFrame) -> pd.DataFrame:
    """The same claims with labels that nothing tells; the shuffle decides how many of later claims a model flags."""
    return frame.assign(fake=frame["fake"].sample(frac=1, random_state=3).to_numpy())


def trained(registry: Registry, file: Path, frame: pd.DataFrame, epochs: int = 3) -> Entry:
    """The next version of a store, trained on these rows, which the file holds from now on."""
    frame.to_csv(file, index=False)
    return train(registry, TrainOptions(file, None, 0, epochs), quiet())


def quiet() -> Console:
    """A console that nobody reads."""
    return Console(file=io.StringIO())
