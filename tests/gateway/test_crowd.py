"""What a crowd does to a gateway process; `python -m tests.gateway.crowd` is the long form."""

from collections.abc import Iterator

import pytest

from tests.gateway import crowd
from tests.gateway.crowd import MEGABYTE, Drippers, Others
from tests.gateway.process import Gateway

MEMORY = 60 * MEGABYTE


@pytest.fixture(scope="module")
def running() -> Iterator[Gateway]:
    """A gateway with little memory, and the patience that a busy machine takes."""
    limits = {"MAX_UPLOAD_BYTES": "2000000", "MAX_BATCH_BYTES": "2000000", "MEMORY_BYTES": str(MEMORY)}
    with crowd.gateway(DEADLINE_SECONDS="60", SLOT_SECONDS="60", **limits) as process:
        yield process


def test_dripping_bodies_keep_nobody_waiting(running: Gateway) -> None:
    """While a thousand callers with a valid key drip bodies into /upload, all others are answered."""
    others = Others(running.url)
    with Drippers(running.url, 1_000):
        others.ask(10)
    assert others.statuses == {200: 20}


def test_memory_stays_within_what_the_settings_say(running: Gateway) -> None:
    """Batches and files of the shortest rows at once, beside bodies that hang: all are answered within MEMORY_BYTES."""
    idle = crowd.resident(running)
    with Drippers(running.url, 300, first=60_000):
        assert crowd.loaded(running.url, 4, 4, 990_000) == {200: 8}
    assert crowd.peak(running) - idle < MEMORY
