"""Calls to the model server, timed and counted by version; a version that answers wrongly is quarantined."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.http.problems import ModelServerWrong, Problem
from gateway.metrics import Metrics
from gateway.models.inference_client import InferenceClient
from gateway.models.model_tracker import ModelTracker
from gateway.models.serving_versions import AdoptedModel

SCORED, NOT_ANSWERED = "scored", "not_answered"


@dataclass(frozen=True, slots=True, eq=False)
class ModelResponse:
    """The probabilities of a matrix's rows: float32, shape (rows,); and how many seconds the call took."""

    probabilities: NDArray[np.float32]
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class ModelCalls:
    """Scores matrices by any adopted version."""

    _tracker: ModelTracker
    _server: InferenceClient
    _metrics: Metrics

    async def score(self, model: AdoptedModel, matrix: NDArray[np.float32]) -> ModelResponse:
        """Scores a matrix of at least one row.

        Raises:
            Problem: the version did not answer as it should.
        """
        started, outcome = time.perf_counter(), NOT_ANSWERED
        try:
            probabilities = await self._server.score(model.version, model.contract.fingerprint, matrix)
            outcome = SCORED
        except Problem as problem:
            outcome = problem.code
            if isinstance(problem, ModelServerWrong):
                self._tracker.quarantine(model)
            raise
        finally:
            seconds = time.perf_counter() - started
            self._metrics.model_request(model.version, outcome, seconds)
        return ModelResponse(probabilities, seconds)
