"""A handler for TorchServe as its documentation shows one: JSON in, a batch through the module at once, JSON out.

A request's body is {"rows": [transaction, ...]} or, of a caller that makes features, {"instances": [[...], ...]}. It is
packed into an archive with `contract` and `scorer.py` beside it, so it imports the latter by its bare name there.
"""

from __future__ import annotations  # TorchServe counts the classes of this module

from pathlib import Path
from typing import Any

import numpy as np
import torch
from scorer import PeerScorer  # type: ignore[import-not-found]


class JsonHandler:
    """One worker's model."""

    def initialize(self, context: Any) -> None:  # noqa: ANN401 - the class of TorchServe must not be imported here
        """Loads it."""
        torch.set_num_threads(1)
        self.scorer = PeerScorer(Path(context.system_properties["model_dir"]))

    def handle(self, data: list[dict[str, Any]], _: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - as above
        """Answers a batch of requests."""
        matrices = [self._matrix(request["body"]) for request in data]
        probabilities = self.scorer.probabilities(np.concatenate(matrices))
        ends = np.cumsum([len(matrix) for matrix in matrices])[:-1]
        return [{"predictions": part.tolist()} for part in np.split(probabilities, ends)]

    def _matrix(self, body: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        if "instances" in body:
            return np.array(body["instances"], dtype=np.float32)
        matrix: np.ndarray[Any, np.dtype[np.float32]] = self.scorer.matrix(body["rows"])
        return matrix
