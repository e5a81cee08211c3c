"""Results of any rows, without a model: what answers are made of."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contract.description import Description
from contract.golden import GoldenRows
from contract.schema import Contract
from gateway.models.score_result import ScoreResult
from gateway.models.serving_versions import AdoptedModel
from tests.tiny import BANDS, card


def scored(contract: Contract, ids: Sequence[str | None], probabilities: NDArray[np.float32], step: int) -> ScoreResult:
    """Each row with its id and probability; every `step`-th is of version 8, the others of version 7."""
    model = AdoptedModel(Description(contract, card(7), GoldenRows("", ()), "cpu", half_precision=False), BANDS)
    versions = [7 + (row % step == 0) for row in range(len(ids))]
    return ScoreResult(
        model=model,
        row_numbers=np.arange(1, len(ids) + 1),
        ids=ids,
        probabilities=probabilities,
        decisions=BANDS.decide(probabilities),
        versions=versions,
        rows=len(ids),
        faults=(),
        scored_by=frozenset(versions),
    )
