"""FastAPI with the module in its own process: what a user writes who wants no second server.

JSON by pydantic models, answers by orjson (FastAPI's own advice where speed counts), a CSV file by pandas in a thread,
and the feature matrix as raw bytes for callers that make it themselves. One process, one worker.
"""

from datetime import datetime
from typing import Any

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from benchmarks.peers.scorer import Floats, PeerScorer, from_environment

THRESHOLD = 0.5


class Transaction(BaseModel):
    """One payment of the default model."""

    transaction_id: str
    timestamp: datetime
    customer_id: str
    terminal_id: str
    amount: float
    merchant_category: str | None = None
    channel: str | None = None
    country: str | None = None


def predictions(ids: list[str], probabilities: Floats) -> dict[str, Any]:
    """A prediction for each row."""
    flags = (probabilities >= THRESHOLD).tolist()
    rows = [
        {"row": row, "id": identity, "fraud_probability": probability, "decision": "decline" if flag else "approve"}
        for row, (identity, probability, flag) in enumerate(zip(ids, probabilities.tolist(), flags, strict=True), 1)
    ]
    return {"rows": len(rows), "predictions": rows}


def orjson_response(content: dict[str, Any]) -> Response:
    """JSON by orjson."""
    return Response(orjson.dumps(content), media_type="application/json")


def make_app(scorer: PeerScorer) -> FastAPI:
    """The application."""
    app = FastAPI()

    @app.post("/score")
    async def score(transaction: Transaction) -> Response:
        values = dict(transaction)
        return orjson_response(predictions([values["transaction_id"]], scorer.score([values])))

    @app.post("/upload")
    async def upload(request: Request) -> Response:
        return await run_in_threadpool(_score_file, scorer, await request.body())

    @app.post("/matrix")
    async def matrix(request: Request) -> Response:
        rows = np.frombuffer(await request.body(), np.float32).reshape(-1, scorer.contract.width).copy()
        return Response(scorer.probabilities(rows).tobytes(), media_type="application/octet-stream")

    @app.get("/ready")
    async def ready() -> None:
        """Answers when it can score."""

    return app


def _score_file(scorer: PeerScorer, body: bytes) -> Response:
    ids, matrix = scorer.csv_matrix(body)
    return orjson_response(predictions(ids, scorer.probabilities(matrix)))


def app() -> FastAPI:
    """What `uvicorn --factory` starts."""
    return make_app(from_environment())
