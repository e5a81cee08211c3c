"""MLServer, as its guide to custom runtimes and adaptive batching has it.

A request is of the V2 inference protocol, an input for each column; MLServer joins the inputs of requests that wait.
"""

from typing import Any

import torch
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.scorer import from_environment


class FraudRuntime(MLModel):  # type: ignore[misc] # it publishes no types
    """One worker's model."""

    async def load(self) -> bool:
        """Loads it."""
        torch.set_num_threads(1)
        self.scorer = from_environment()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Probabilities of all rows."""
        columns: dict[str, list[Any]] = {each.name: _values(each.data.root) for each in payload.inputs}
        probabilities = self.scorer.probabilities(self.scorer.table_matrix(columns)).reshape(-1, 1)
        output = NumpyCodec.encode_output("fraud_probability", probabilities)
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])


def _values(data: Any) -> list[Any]:  # noqa: ANN401 - bytes where requests were joined, else text or numbers
    return [value.decode() if isinstance(value, bytes) else value for value in data]
