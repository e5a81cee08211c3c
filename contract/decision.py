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
class Bands:
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
