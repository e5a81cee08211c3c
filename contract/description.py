"""What a model version answers when it is asked to describe itself: all that a gateway needs to serve it."""

import json
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.golden import TOLERANCE, GoldenRows
from contract.model_card import ModelCard
from contract.schema import Contract


class DescriptionError(ValueError):
    """Bytes that are not a description."""


@dataclass(frozen=True, slots=True)
class Description:
    """A version as its handler loaded it.

    Attributes:
        device: what it computes on: "cpu", or "cuda:0" and so on.
        half_precision: whether its network computes in 16 bits.
    """

    contract: Contract
    card: ModelCard
    golden: GoldenRows
    device: str
    half_precision: bool

    @property
    def version(self) -> int:
        """The model version."""
        return self.card.version

    def proven_by(self, probabilities: NDArray[np.float32]) -> bool:
        """Whether these answers to the golden rows are the expected ones, as exact as the precision allows."""
        allowed = TOLERANCE + (2 * self.card.half_precision_difference if self.half_precision else 0.0)
        return self.golden.difference(probabilities) <= allowed

    def to_bytes(self) -> bytes:
        """The description as it travels: JSON."""
        fields = {
            "contract": self.contract.to_bytes().decode(),
            "card": self.card.to_json(),
            "golden": self.golden.to_json(),
            "device": self.device,
            "half_precision": self.half_precision,
        }
        return json.dumps(fields).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads a description.

        Raises:
            DescriptionError: it is not one, or holds a contract that this release cannot obey.
        """
        try:
            fields = json.loads(data)
            return cls(
                contract=Contract.from_bytes(fields["contract"].encode()),
                card=ModelCard.from_json(fields["card"]),
                golden=GoldenRows.from_json(fields["golden"]),
                device=str(fields["device"]),
                half_precision=bool(fields["half_precision"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise DescriptionError(f"not a description: {error}") from error
