import pytest
import torch
from torch import nn

from training.optimiser import FIRST_RATE, LAST_RATE, WARMUP_SHARE, Optimiser, learning_rate_factor


def _taken(steps: Optimiser, model: nn.Linear, numbers: range) -> None:
    for number in numbers:
        inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
        steps.step(model(inputs).square().sum(), number)


def _fresh() -> tuple[nn.Linear, Optimiser]:
    model = nn.Linear(3, 1)
    nn.init.constant_(model.weight, 0.5)
    nn.init.constant_(model.bias, 0.1)
    return model, Optimiser.for_model(model, 10, 8, 0.01, 0.1)


def test_the_rate_rises_and_falls() -> None:
    """It begins low, is highest where the rising ends, and ends near nothing."""
    assert learning_rate_factor(0.0) == pytest.approx(FIRST_RATE)
    assert learning_rate_factor(WARMUP_SHARE) == pytest.approx(1.0)
    assert learning_rate_factor(1.0) == pytest.approx(LAST_RATE)
    assert max(learning_rate_factor(step / 100) for step in range(101)) <= 1.0


def test_an_optimiser_that_is_restored_goes_on_alike() -> None:
    """Five steps, then five more by another one that took up its state, give the weights of ten."""
    whole, steps = _fresh()
    _taken(steps, whole, range(10))
    first, steps = _fresh()
    _taken(steps, first, range(5))
    second, others = _fresh()
    second.load_state_dict(first.state_dict())
    others.restore({name: values.clone() for name, values in steps.state().items()})
    _taken(others, second, range(5, 10))
    assert torch.equal(whole.weight, second.weight)
