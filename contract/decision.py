"""From a probability to what to do with the transaction."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Decision(StrEnum):
    """What the caller should do with a transaction."""

    APPROVE = "approve"
    REVIEW = "review"
    DECLINE = "decline"


@dataclass(frozen=True, slots=True)
class DecisionBands:
    """The probabilities from which a transaction is reviewed and declined.

    A threshold itself belongs to the band above it; equal thresholds leave no review band.
    """

    review: float
    decline: float

    def __post_init__(self) -> None:
        """Refuses thresholds that are out of order or no probabilities."""
        if not 0 <= self.review <= self.decline <= 1:
            raise ValueError("thresholds must satisfy 0 <= review <= decline <= 1")

    def decide(self, probabilities: NDArray[Any]) -> list[Decision]:
        """The decision for each probability, in order."""
        bands = np.searchsorted([self.review, self.decline], probabilities.astype(np.float64), side="right")
        decisions = list(Decision)
        return [decisions[band] for band in bands]


@dataclass(frozen=True, slots=True)
class ThresholdOverrides:
    """Thresholds of one deployment, instead of those of its models; None leaves a model's own."""

    review: float | None = None
    decline: float | None = None

    def __post_init__(self) -> None:
        """Refuses what is no probability."""
        if not all(0 <= each <= 1 for each in (self.review, self.decline) if each is not None):
            raise ValueError("a threshold must be from 0 to 1")

    def apply_to(self, bands: DecisionBands) -> DecisionBands:
        """The bands in force for a model; review is lowered to decline where it is above."""
        decline = bands.decline if self.decline is None else self.decline
        return DecisionBands(min(bands.review if self.review is None else self.review, decline), decline)


NO_OVERRIDES = ThresholdOverrides()
