"""Ray Serve, as its guide to dynamic request batching has it: one replica, requests that wait are scored together.

A request is {"rows": [transaction, ...]}: the rows of all requests of a batch go through the module at once.
"""

import signal
import threading
from typing import Any

import numpy as np
import ray
import torch
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

from benchmarks.peers.scorer import Floats, from_environment, port

MAX_BATCH_SIZE, WAIT_SECONDS = 32, 0.002


@serve.deployment(num_replicas=1, max_ongoing_requests=128, ray_actor_options={"num_cpus": 1})
class FraudDeployment:
    """One replica's model."""

    def __init__(self) -> None:
        """Loads it."""
        torch.set_num_threads(1)
        self.scorer = from_environment()

    @serve.batch(max_batch_size=MAX_BATCH_SIZE, batch_wait_timeout_s=WAIT_SECONDS)  # type: ignore[untyped-decorator] # it publishes no types
    async def score(self, requests: list[list[dict[str, Any]]]) -> list[Floats]:
        """Probabilities of each request of a batch."""
        probabilities = self.scorer.score([row for rows in requests for row in rows])
        return np.split(probabilities, np.cumsum([len(rows) for rows in requests])[:-1])

    async def __call__(self, request: Request) -> JSONResponse:
        """Answers one request."""
        probabilities = await self.score((await request.json())["rows"])
        return JSONResponse({"probabilities": probabilities.tolist()})


def main() -> None:
    """Serves until a signal comes."""
    ending = threading.Event()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="warning")
    serve.start(http_options={"host": "127.0.0.1", "port": port()}, logging_config={"enable_access_log": False})
    serve.run(FraudDeployment.bind(), name="fraud", route_prefix="/score")  # type: ignore[attr-defined] # made by the decorator
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    ending.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
