"""Two gateways on one Redis: whatever comes twice, and at once, counts once and scores alike."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import numpy as np
import pytest
from redis.asyncio import Redis

from contract.decision import DecisionBands
from contract.description import Description
from contract.golden import GoldenRows
from contract.model_card import ModelCard
from contract.table import Table, read_csv
from gateway.history import batch_writer
from gateway.history.answer_writer import AnswerWriter
from gateway.history.fetching import History
from gateway.history.key_monitor import KeyMonitor
from gateway.history.monitor import HistoryMonitor
from gateway.metrics import Metrics
from gateway.models.model_tracker import ModelTracker
from gateway.models.serving_versions import AdoptedModel, ServingVersions
from gateway.redis.transports import open_transports
from history.plan import Plan
from history.session import HistoryOptions
from releases.record import Release
from tests.gateway.remembering import CARDS, COUNT, HEADER, line
from tests.gateway.trials import Valkey
from tests.keys import KEY

TRANSACTIONS = 10_000
DAY = 86_400
WRITE_SECONDS = 60.0
Result = TypeVar("Result")


@pytest.fixture
def anyio_backend() -> str:
    """The gateway's."""
    return "asyncio"


async def work(function: Callable[..., Result], *arguments: Any) -> Result:  # noqa: ANN401 - whatever it takes
    """As for a small input."""
    return function(*arguments)


def serving() -> ServingVersions:
    """A version with history is live."""
    bands = DecisionBands(0.5, 0.9)
    card = ModelCard(1, "2026-01-01T00:00:00+00:00", bands, {}, {}, {}, {}, 0.01)
    description = Description(CARDS, card, GoldenRows("", ()), "cpu", half_precision=False)
    return ServingVersions(AdoptedModel(description, bands), None, Plan.of([CARDS]))


async def watch(redis: Redis) -> HistoryMonitor:
    """Of a new deployment; it has looked once."""
    released = Release(1, None, datetime.now(UTC).isoformat())
    live = cast("ModelTracker", SimpleNamespace(record=released, model=serving().model))
    watch = HistoryMonitor(redis, KeyMonitor(redis, KEY), live, Metrics(), record=True)
    await watch.check()
    return watch


def pieces(rows: Sequence[int], draw: random.Random) -> list[list[int]]:
    """Requests of one row or of a few."""
    found, at = list[list[int]](), 0
    while at < len(rows):
        size = draw.choice([1, 1, 2, 7, 60])
        found.append(list(rows[at : at + size]))
        at += size
    return found


@pytest.fixture
async def closing_after() -> AsyncIterator[AsyncExitStack]:
    """Closes what the test has entered."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.mark.anyio
async def test_what_is_sent_twice_to_two_gateways_counts_once(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch, closing_after: AsyncExitStack
) -> None:
    """10,000 transactions, each sent twice at random, sixteen requests at a time: every counter is exact."""
    monkeypatch.setattr(batch_writer, "POLLS", 2_500)  # Likewise 10 s: on a busy machine another's values are late.
    draw = random.Random(1)  # noqa: S311 - an order, no secret
    cards = [f"c{draw.randrange(200)}" for _ in range(TRANSACTIONS)]
    table = read_csv(
        CARDS, "\n".join([HEADER, *(line(str(n), card, n) for n, card in enumerate(cards))]).encode()
    ).table
    sent = pieces(draw.sample([*range(TRANSACTIONS)] * 2, 2 * TRANSACTIONS), draw)
    clients = [valkey.connected(10.0) for _ in range(2)]
    transports = [await closing_after.enter_async_context(open_transports(valkey.url, 8, 10.0, KEY)) for _ in clients]
    agreements = [KeyMonitor(client, KEY) for client in clients]
    for agreement in agreements:
        await agreement.check()
    gateways = [
        History(
            transport,
            await watch(client),
            HistoryOptions(True, 30 * DAY, DAY, KEY),
            AnswerWriter(client, DAY),
            Metrics(),
            agreement,
        )
        for transport, client, agreement in zip(transports, clients, agreements, strict=True)
    ]
    found: dict[int, set[float]] = {}

    async def send(rows: list[int]) -> None:
        some: Table = table.take(np.array(rows))
        gateway = draw.choice(gateways)
        past = await gateway.fetch(serving(), some, work, record=True)
        assert await past.wait_written(asyncio.get_running_loop().time() + WRITE_SECONDS)
        assert not past.degraded
        for row, value in zip(rows, past.values[COUNT.name].tolist(), strict=True):
            found.setdefault(row, set()).add(value)

    await in_turn(sent, send)
    last = read_csv(CARDS, "\n".join([HEADER, *(line("", f"c{n}", TRANSACTIONS) for n in range(200))]).encode()).table
    past = await gateways[0].fetch(serving(), last, work, record=False)
    wait_for_count = Counter(cards)
    assert past.values[COUNT.name].tolist() == [wait_for_count[f"c{n}"] for n in range(200)]
    assert {len(values) for values in found.values()} == {1}, "a repeat has the values of the first time"
    for gateway, client in zip(gateways, clients, strict=True):
        await gateway.close()
        await client.aclose()


async def in_turn(sent: Sequence[list[int]], send: Callable[[list[int]], Any]) -> None:
    """Sixteen at a time."""
    waiting = iter(sent)

    async def worker() -> None:
        for rows in waiting:
            await send(rows)

    async with asyncio.TaskGroup() as group:
        for _ in range(16):
            group.create_task(worker())
