"""AdamW over one cycle of the learning rate."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

WARMUP_SHARE = 0.3
"""Share of the steps in which the learning rate rises."""
FIRST_RATE, LAST_RATE = 1 / 25, 1e-5
"""Of the learning rate at the top of the cycle."""


@dataclass(frozen=True, slots=True, eq=False)
class Optimiser:
    """AdamW and its cycle: the learning rate at its top, the rows of a step, and the steps of all epochs in `total`."""

    optimiser: torch.optim.AdamW
    learning_rate: float
    batch: int
    total: int

    @classmethod
    def for_model(cls, model: nn.Module, total: int, batch: int, learning_rate: float, weight_decay: float) -> Self:
        """AdamW for a model's weights, over `total` steps."""
        optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True)
        return cls(optimiser, learning_rate, batch, total)

    def step(self, loss: Tensor, step: int) -> None:
        """One step; `step` is how many were taken before."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * learning_rate_factor(step / self.total)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()

    def state(self) -> dict[str, Tensor]:
        """The optimiser's state, keyed by the parameter's index and the name of the value."""
        memory = self.optimiser.state_dict()["state"]
        return {f"{position}.{name}": values for position, own in memory.items() for name, values in own.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restores what :meth:`state` returned."""
        memory: dict[int, dict[str, Tensor]] = {}
        for key, values in state.items():
            position, _, name = key.partition(".")
            memory.setdefault(int(position), {})[name] = values
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": memory, "param_groups": groups})


def learning_rate_factor(done: float) -> float:
    """The learning rate, as a share of its top, after this share of the steps: a cosine up, then a longer one down."""
    if done < WARMUP_SHARE:
        return _between(FIRST_RATE, 1.0, done / WARMUP_SHARE)
    return _between(1.0, LAST_RATE, (done - WARMUP_SHARE) / (1 - WARMUP_SHARE))


def _between(begin: float, end: float, done: float) -> float:
    return end + (begin - end) / 2 * (1 + math.cos(math.pi * done))
