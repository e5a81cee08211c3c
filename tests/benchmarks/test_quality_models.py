"""Each model learns what is easy, and the table says what was found."""

import importlib.util

import numpy as np
import pytest

from benchmarks.quality import ProtocolResult, table
from benchmarks.quality_metrics import EvaluationRows
from benchmarks.quality_models import MODELS, PRODUCT, Task, mean_over_seeds
from training.loop import Examples
from training.schema import parse_schema

SCHEMA = 'name = "easy"\n[columns.a]\nkind = "number"\n[columns.b]\nkind = "number"\n[columns.y]\nkind = "label"\n'


def _rows(seed: int, rows: int = 600, *, weighted: bool = False) -> Examples:
    rng = np.random.default_rng(seed)
    labels = rng.random(rows) < 0.15
    numbers = rng.normal(size=(rows, 2)) + 4 * labels[:, None]
    weights = np.where(labels, 1, 10).astype(np.float32) if weighted else None
    return Examples(numbers.astype(np.float32), labels, None, weights)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_model_ranks_what_is_easy_to_tell(name: str, *, weighted: bool) -> None:
    """Its scores are probabilities, and the same for the same seed."""
    if name == "XGBoost" and importlib.util.find_spec("xgboost") is None:
        pytest.skip("XGBoost is installed by `make quality` alone")
    train, validation, test = (_rows(seed, weighted=weighted) for seed in range(3))
    task = Task(parse_schema(SCHEMA).contract({}), train, validation, test.matrix)
    scores = mean_over_seeds(MODELS[name], task, seeds=1)
    assert scores.shape == test.labels.shape
    assert 0 <= scores.min() <= scores.max() <= 1
    assert scores[test.labels].mean() > scores[~test.labels].mean() + 0.5
    assert (mean_over_seeds(MODELS[name], task, seeds=1) == scores).all()


def test_the_table_has_a_line_for_each_model_with_the_network_s_lead() -> None:
    """Metrics that a protocol does not have are left empty."""
    frauds = np.array([True, False] * 20)
    evaluated = EvaluationRows(frauds, None, np.arange(40), None, np.ones(40))
    scores = {PRODUCT: [frauds + 0.0], "other": [1.0 - frauds]}
    outcome = ProtocolResult([evaluated], scores, {PRODUCT: 1.0, "other": 2.0})
    lines = table({"easy": outcome.to_json()}).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| easy | this network | 1.000 | 1.000 |  |")
    assert "+0.5" in lines[3]
