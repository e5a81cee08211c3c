"""What a crowd does to a gateway process; `python -m tests.gateway.crowd` is the long form."""

from collections.abc import Iterator

import pytest

from gateway.settings import BASE_BYTES
from tests.gateway import crowd
from tests.gateway.crowd import MEGABYTE, Drippers, Others
from tests.gateway.process import Gateway

MEMORY = 30 * MEGABYTE


@pytest.fixture(scope="module")
def running() -> Iterator[Gateway]:
    """A gateway with little memory, and the timeouts that a busy machine takes."""
    limits = {"MAX_UPLOAD_BYTES": "1000000", "MAX_BATCH_BYTES": "1000000", "MEMORY_BYTES": str(MEMORY)}
    with crowd.gateway(DEADLINE_SECONDS="60", SLOT_SECONDS="60", **limits) as process:
        yield process


def test_slow_bodies_do_not_delay_others(running: Gateway) -> None:
    """While hundreds of callers with a valid key drip bodies into /upload, all others are answered."""
    others = Others(running.url)
    with Drippers(running.url, 800):
        others.ask(5)
    assert others.statuses == {200: 10}


def test_memory_stays_within_what_the_settings_say(running: Gateway) -> None:
    """Batches and files of the shortest rows at once, beside bodies that hang: all are answered within MEMORY_BYTES."""
    with Drippers(running.url, 200, first=40_000):
        assert crowd.loaded(running.url, 4, 2, crowd.shortest(490_000)) == {200: 6}
    assert crowd.peak(running) < MEMORY + BASE_BYTES
