"""Calls to the model server, timed and counted by version; a version that answers wrongly is doubted."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.http.problems import ModelServerWrong, Problem
from gateway.metrics import Metrics
from gateway.models.model_server import ModelServer
from gateway.models.serving import LiveModel
from gateway.models.tracker import Live

SCORED, NOT_ANSWERED = "scored", "not_answered"


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One version's answer to a matrix: float32 probabilities, one a row, and how many seconds they took."""

    probabilities: NDArray[np.float32]
    seconds: float


class ModelCalls:
    """Scores matrices by any adopted version."""

    def __init__(self, live: Live, server: ModelServer, metrics: Metrics) -> None:
        """Takes its collaborators."""
        self._live = live
        self._server = server
        self._metrics = metrics

    async def score(self, model: LiveModel, matrix: NDArray[np.float32]) -> Answer:
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
                self._live.doubt(model)
            raise
        finally:
            seconds = time.perf_counter() - started
            self._metrics.model_request(model.version, outcome, seconds)
        return Answer(probabilities, seconds)
