"""A model whose score tells how many transactions of the card it saw, and files for it."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from contract.schema import Column, Contract, Feature, FeatureKind, Kind, Missing
from contract.windows import DAY, HOUR, Aggregate, Window
from tests.gateway.trials import Valkey
from tests.tiny import TinyServer, write_version

Serve = Callable[..., TestClient]

COUNT = Window(Aggregate.COUNT, "card", None, 30 * DAY, HOUR)
RISK = Window(Aggregate.RISK, "shop", None, 7 * DAY, HOUR, 7 * DAY)
MEAN = Window(Aggregate.MEAN, "card", "amount", 7 * DAY, HOUR)
HISTORY = (COUNT, RISK, MEAN)
COLUMNS = (
    Column("transaction_id", Kind.ID, Missing.ALLOW),
    Column("timestamp", Kind.TIMESTAMP),
    Column("card", Kind.ENTITY, Missing.ALLOW),
    Column("shop", Kind.ENTITY, Missing.ALLOW),
    Column("amount", Kind.NUMBER, Missing.ALLOW),
    Column("is_fraud", Kind.LABEL),
)
CARDS = Contract(
    "cards",
    COLUMNS,
    tuple(Feature(window.name, FeatureKind.NUMBER, window.name) for window in HISTORY),
    HISTORY,
)
HEADER = "transaction_id,timestamp,card,shop,amount"
GOLDEN_CSV = f"{HEADER}\ng-1,2026-01-01T10:00:00,golden,golden,10\n"
GOLDEN_HISTORY = ((3.0, 0.25, None),)
SLOPE = 0.001
"""The tiny model says sigmoid((count - 1000) * SLOPE)."""


def history_server(directory: Path, contract: Contract = CARDS) -> TinyServer:
    """A model server that holds version 1, which looks at the history."""
    server = TinyServer()
    server.serve(write_version(directory / "v1", 1, contract, GOLDEN_CSV, SLOPE, history=GOLDEN_HISTORY))
    return server


def starter(serve: Serve, valkey: Valkey) -> Serve:
    """Starts a gateway on the test's own Valkey, which a busy machine may delay."""
    return lambda **changes: serve(**{"redis_url": valkey.url, "history_timeout_seconds": 10.0, **changes})


def count(probability: float) -> int:
    """How many transactions of the card the model saw."""
    return round(1000 + math.log(probability / (1 - probability)) / SLOPE)


def line(identity: str, card: str = "c", second: int = 0, shop: str = "s", amount: str = "10") -> str:
    """One row, so many seconds after noon."""
    minutes, seconds = divmod(second, 60)
    return f"{identity},2026-01-01T{12 + minutes // 60:02}:{minutes % 60:02}:{seconds:02},{card},{shop},{amount}"


def upload(client: TestClient, lines: Sequence[str], query: str = "") -> dict[str, Any]:
    """The answer to a file of these rows."""
    text = "\n".join([HEADER, *lines, ""])
    answer = client.post(f"/upload{query}", content=text, headers={"content-type": "text/csv"})
    assert answer.status_code == 200, answer.text
    fields: dict[str, Any] = answer.json()
    return fields


def counts(answer: dict[str, Any]) -> list[int]:
    """What the model saw for each row."""
    return [count(prediction["fraud_probability"]) for prediction in answer["predictions"]]
