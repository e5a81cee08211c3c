"""The guide's own design, as a tutorial sketches it: FastAPI, pandas and httpx before TorchServe.

A file is read by pandas, made into features, and sent to TorchServe as JSON, one batch of rows after the other. /upload
answers with FastAPI's own response (dicts that it serialises); /upload-orjson with orjson, the best answer class that
a user of FastAPI finds. TorchServe runs as it comes; INFERENCE_URL is its address.
"""

import os
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from benchmarks.peers.fastapi_torch import Transaction, orjson_response, predictions
from benchmarks.peers.scorer import Floats, PeerScorer, from_environment

BATCH_ROWS = 4096


class Gateway:
    """What the routes call."""

    def __init__(self, scorer: PeerScorer, inference_url: str) -> None:
        """Takes what makes features, and TorchServe's address."""
        self._scorer = scorer
        self._url = inference_url
        self._client = httpx.AsyncClient(timeout=60.0)

    async def score(self, transaction: Transaction) -> dict[str, Any]:
        """A prediction for one transaction."""
        values = dict(transaction)
        return predictions([values["transaction_id"]], await self._probabilities(self._scorer.matrix([values])))

    async def score_file(self, request: Request) -> dict[str, Any]:
        """A prediction for each row of a file."""
        ids, matrix = await run_in_threadpool(self._scorer.csv_matrix, await request.body())
        return predictions(ids, await self._probabilities(matrix))

    async def ping(self) -> int:
        """The status of TorchServe's answer."""
        return (await self._client.get(self._url.partition("/predictions")[0] + "/ping")).status_code

    async def _probabilities(self, matrix: Floats) -> Floats:
        answers = list[float]()
        for begin in range(0, len(matrix), BATCH_ROWS):
            rows = matrix[begin : begin + BATCH_ROWS].tolist()
            answer = await self._client.post(self._url, json={"instances": rows})
            answers += answer.raise_for_status().json()["predictions"]
        return np.array(answers, dtype=np.float32)


def make_app(gateway: Gateway) -> FastAPI:
    """The application."""
    app = FastAPI()

    @app.post("/score")
    async def score(transaction: Transaction) -> dict[str, Any]:
        return await gateway.score(transaction)

    @app.post("/score-orjson")
    async def score_orjson(transaction: Transaction) -> Response:
        return orjson_response(await gateway.score(transaction))

    @app.post("/upload")
    async def upload(request: Request) -> dict[str, Any]:
        return await gateway.score_file(request)

    @app.post("/upload-orjson")
    async def upload_orjson(request: Request) -> Response:
        return orjson_response(await gateway.score_file(request))

    @app.get("/ready")
    async def ready() -> Response:
        return Response(status_code=await gateway.ping())

    return app


def app() -> FastAPI:
    """What `uvicorn --factory` starts."""
    return make_app(Gateway(from_environment(), os.environ["INFERENCE_URL"]))
