"""BentoML, as its guide to adaptive batching has it: a batchable API, whose rows are scored together.

A request is {"rows": [transaction, ...]}, the answer a list of probabilities.
"""

from typing import Any

import bentoml
import torch

from benchmarks.peers.scorer import from_environment

WORKERS = 2
"""Its advice for a model on processors is one for each."""
MAX_BATCH_ROWS, MAX_LATENCY_MS = 2048, 1000


@bentoml.service(workers=WORKERS, traffic={"timeout": 60, "concurrency": 64}, metrics={"enabled": False})
class FraudService:
    """One worker's model."""

    def __init__(self) -> None:
        """Loads it."""
        torch.set_num_threads(1)
        self.scorer = from_environment()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH_ROWS, max_latency_ms=MAX_LATENCY_MS)  # type: ignore[untyped-decorator] # it publishes no types
    def score(self, rows: list[dict[str, Any]]) -> list[float]:
        """Probabilities of the rows of all requests of a batch."""
        probabilities: list[float] = self.scorer.score(rows).tolist()
        return probabilities
