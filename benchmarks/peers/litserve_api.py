"""LitServe, as its guide to batching has it: requests that wait together are scored together.

A request is {"rows": [transaction, ...]}: the rows of all requests of a batch go through the module at once.
"""

from typing import Any

import litserve
import numpy as np
import torch

from benchmarks.peers.scorer import Floats, from_environment, port

MAX_BATCH_SIZE, BATCH_TIMEOUT = 32, 0.002
"""Requests, and seconds that the first waits for others."""
WORKERS = 1
"""Of the model; the HTTP server is a process of its own."""


class FraudApi(litserve.LitAPI):  # type: ignore[misc] # it publishes no types
    """One worker's model."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - the CPU
        """Loads it."""
        torch.set_num_threads(1)
        self.scorer = from_environment()

    def decode_request(self, request: dict[str, Any]) -> Floats:
        """The features of a request's transactions."""
        return self.scorer.matrix(request["rows"])

    def batch(self, inputs: list[Floats]) -> list[Floats]:
        """They have different numbers of rows: `predict` joins them."""
        return inputs

    def predict(self, x: list[Floats]) -> list[Floats]:
        """Probabilities of each request of a batch."""
        ends = np.cumsum([len(matrix) for matrix in x])[:-1]
        return np.split(self.scorer.probabilities(np.concatenate(x)), ends)

    def unbatch(self, output: list[Floats]) -> list[Floats]:
        """They are apart already."""
        return output

    def encode_response(self, output: Floats) -> dict[str, Any]:
        """JSON's own types."""
        return {"probabilities": output.tolist()}


if __name__ == "__main__":
    api = FraudApi(max_batch_size=MAX_BATCH_SIZE, batch_timeout=BATCH_TIMEOUT)
    server = litserve.LitServer(
        api, accelerator="cpu", devices=1, workers_per_device=WORKERS, timeout=60, fast_queue=True
    )
    server.run(host="127.0.0.1", port=port(), generate_client_file=False, log_level="warning", access_log=False)
