import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tests.training import rows
from training.model import FraudModel


def _score(model: FraudModel, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        scores: NDArray[np.float32] = model(torch.from_numpy(matrix)).numpy()
    return scores


MODEL = rows.model()
MEMBERS = rows.model(members=3)


@given(arrays(np.float32, (3, rows.contract().width), elements=st.floats(width=32)))
def test_any_floats_give_probabilities(matrix: NDArray[np.float32]) -> None:
    """Whatever bits arrive, NaN and infinities among them, each row gets a finite probability."""
    scores = _score(MODEL, matrix)
    assert np.isfinite(scores).all()
    assert ((scores >= 0) & (scores <= 1)).all()


def test_one_row_scores_like_a_batch() -> None:
    """A row's probability does not depend on its company."""
    matrix = rows.matrix(64)
    alone = np.concatenate([_score(MODEL, matrix[i : i + 1]) for i in range(64)])
    np.testing.assert_allclose(alone, _score(MODEL, matrix), atol=1e-6)


@given(arrays(np.float32, (5, rows.contract().width), elements=st.floats(width=32)))
def test_any_row_alone_scores_like_its_batch(matrix: NDArray[np.float32]) -> None:
    """Whatever the numbers, a row among others gets what it gets alone, by one member and by several."""
    for model in (MODEL, MEMBERS):
        alone = np.concatenate([_score(model, matrix[i : i + 1]) for i in range(5)])
        np.testing.assert_allclose(alone, _score(model, matrix), atol=1e-6)


def test_torch_export_gives_the_same_probabilities() -> None:
    """The way that is left once TorchScript is gone: one exported program for any number of rows."""
    for model in (MODEL, MEMBERS):
        shapes = {"matrix": {0: torch.export.Dim("rows")}}
        program = torch.export.export(model, (torch.from_numpy(rows.matrix(8)),), dynamic_shapes=shapes).module()
        for count in (1, 300):
            matrix = rows.matrix(count)
            exported = program(torch.from_numpy(matrix)).detach().numpy()
            np.testing.assert_allclose(exported, _score(model, matrix), atol=1e-6)


def test_members_are_averaged_by_their_log_odds() -> None:
    """What is served is the mean of what each member says, and they do not say the same."""
    matrix = torch.from_numpy(rows.matrix(16))
    with torch.inference_mode():
        each = MEMBERS.member_logits(matrix)
        np.testing.assert_allclose(MEMBERS.logits(matrix).numpy(), each.numpy().mean(axis=0), atol=1e-6)
    assert each.shape == (3, 16)
    assert not torch.equal(each[0], each[1])


def test_a_number_goes_through_its_pieces() -> None:
    """The amount, which tells fraud, has pieces: none is begun at its smallest, all are passed at its largest."""
    amounts = rows.matrix()[:, rows.AMOUNT]
    ends = torch.from_numpy(rows.matrix(2))
    ends[:, rows.AMOUNT] = torch.tensor([amounts.min(), amounts.max()])
    pieces = MODEL.input_of == rows.AMOUNT
    pieces[: len(MODEL.numbers)] = False
    through = MODEL._inputs(ends)[:, : len(pieces)][:, pieces]
    assert through.shape[1] > 1
    assert (through[0] == 0).all()
    assert (through[1] == 1).all()


def test_no_rows_give_no_probabilities() -> None:
    """An empty batch is answered with an empty one."""
    assert _score(MODEL, rows.matrix(0)).shape == (0,)


def test_beyond_the_training_range_counts_as_its_end() -> None:
    """Nothing is extrapolated: a hundred times the largest amount scores like the largest."""
    matrix = rows.matrix()
    edge, beyond = matrix[:1].copy(), matrix[:1].copy()
    edge[0, rows.AMOUNT], beyond[0, rows.AMOUNT] = matrix[:, rows.AMOUNT].max(), 50_000
    assert _score(MODEL, edge) == _score(MODEL, beyond)


@pytest.mark.parametrize("code", [1, 99, -1, np.nan, np.inf])
def test_codes_that_training_never_saw_are_unknown(code: float) -> None:
    """A code out of range, and "missing" where training saw none missing, score as unknown."""
    known, other = rows.matrix(1), rows.matrix(1)
    known[0, rows.CHANNEL], other[0, rows.CHANNEL] = 0, code
    assert _score(MODEL, known) == _score(MODEL, other)


def test_a_missing_number_is_the_median_where_training_saw_none() -> None:
    """The flag for "missing" speaks only where training taught it to."""
    matrix = rows.matrix(401)
    missing, median = matrix[:1].copy(), matrix[:1].copy()
    missing[0, rows.AMOUNT], median[0, rows.AMOUNT] = np.nan, np.median(matrix[:, rows.AMOUNT])
    model = rows.model(matrix)
    np.testing.assert_allclose(_score(model, missing), _score(model, median), atol=1e-7)


def test_a_missing_number_is_flagged_where_training_saw_some() -> None:
    """A missing cell is not just the median where it was missing in training."""
    matrix = rows.matrix(401)
    missing, median = matrix[:1].copy(), matrix[:1].copy()
    missing[0, rows.AGE], median[0, rows.AGE] = np.nan, np.nanmedian(matrix[:, rows.AGE])
    assert _score(MODEL, missing) != _score(MODEL, median)


@pytest.mark.parametrize("value", [np.nan, 0.0, 7.1, 3e38])
def test_constant_and_empty_columns_are_harmless(value: float) -> None:
    """A column that never varies gives finite scores for whatever is served later."""
    matrix = rows.matrix()
    matrix[:, rows.AGE] = value
    model = rows.model(matrix)
    matrix[:4, rows.AGE] = [np.nan, -3e38, 3e38, 1.0]
    assert np.isfinite(_score(model, matrix)).all()


def test_unknown_is_trained() -> None:
    """In training some categories are shown as unknown, so that its vector learns too."""
    matrix = rows.matrix()
    matrix[:, rows.CHANNEL] = 2
    model = rows.model(matrix).train()
    model.logits(torch.from_numpy(matrix)).sum().backward()  # type: ignore[no-untyped-call]
    gradient = model.embedding.weight.grad
    assert gradient is not None
    assert gradient[0].abs().sum() > 0


def test_half_precision_ends_in_float32() -> None:
    """Under autocast the probabilities are still float32 and near the exact ones."""
    matrix = rows.matrix()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = _score(MODEL, matrix)
    assert half.dtype == np.float32
    assert np.abs(half - _score(MODEL, matrix)).max() < 0.05
