import numpy as np
import torch

from tests.training import rows
from training import export


def test_scripted_equals_eager() -> None:
    """The module read back from its bytes gives the trained model's probabilities."""
    model, matrix = rows.model(), rows.matrix()
    scripted = export.script(model, matrix)
    eager = model(torch.from_numpy(matrix)).numpy()
    np.testing.assert_allclose(scripted.probabilities(matrix), eager, atol=1e-6)


def test_half_precision_is_measured() -> None:
    """The card's difference is a small positive number, and it is said how it was measured."""
    matrix = rows.matrix()
    difference, measured = export.half_precision(export.script(rows.model(), matrix), matrix)
    assert 0 < difference < 0.05
    assert measured.startswith("autocast")
