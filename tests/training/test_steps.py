import pytest
import torch
from torch import nn

from training.steps import FIRST_RATE, LAST_RATE, RISING, Steps, cycle


def _taken(steps: Steps, model: nn.Linear, numbers: range) -> None:
    for number in numbers:
        inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
        steps.take(model(inputs).square().sum(), number)


def _fresh() -> tuple[nn.Linear, Steps]:
    model = nn.Linear(3, 1)
    nn.init.constant_(model.weight, 0.5)
    nn.init.constant_(model.bias, 0.1)
    return model, Steps.over(model, 10, 8, 0.01, 0.1)


def test_the_rate_rises_and_falls() -> None:
    """It begins low, is highest where the rising ends, and ends near nothing."""
    assert cycle(0.0) == pytest.approx(FIRST_RATE)
    assert cycle(RISING) == pytest.approx(1.0)
    assert cycle(1.0) == pytest.approx(LAST_RATE)
    assert max(cycle(step / 100) for step in range(101)) <= 1.0


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
