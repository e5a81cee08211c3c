"""The circuit breaker: what opens it, and who closes it."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import OutOfMemoryError, ResponseError
from redis.exceptions import TimeoutError as Silent

from gateway.background import running
from gateway.redis import circuit_breaker
from gateway.redis.circuit_breaker import CircuitBreaker

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The gateway's."""
    return "asyncio"


async def there() -> None:
    """Redis is there."""


@pytest.mark.parametrize("error", [NotConnected(), ConnectionResetError(), ConnectionRefusedError()])
async def test_a_redis_that_is_not_there_opens_it(error: Exception) -> None:
    """However it shows."""
    breaker = CircuitBreaker(there)
    assert not breaker.open
    breaker.failed(error)
    assert breaker.open


@pytest.mark.parametrize("error", [ResponseError(), OutOfMemoryError(), ValueError()])
async def test_what_redis_refuses_does_not_open_it(error: Exception) -> None:
    """It has answered, and may have something else to say to the next request."""
    breaker = CircuitBreaker(there)
    breaker.failed(error)
    assert not breaker.open


@pytest.mark.parametrize("error", [Silent(), TimeoutError()])
@pytest.mark.parametrize("answers", [True, False])
async def test_after_a_command_without_an_answer_a_probe_decides(error: Exception, answers: bool) -> None:
    """A slow command fails one request; a Redis that says nothing to a probe either is asked no more."""
    probed, never = asyncio.Event(), asyncio.Event()

    async def probe() -> None:
        if probed.is_set():
            await never.wait()
        assert not breaker.open
        probed.set()
        if not answers:
            raise Silent

    breaker = CircuitBreaker(probe)
    async with running(breaker.probe_periodically), asyncio.timeout(60):
        breaker.failed(error)
        assert not breaker.open
        await probed.wait()
        await asyncio.sleep(0)
        assert breaker.open != answers


async def test_it_closes_when_a_probe_is_answered_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to ask for it; and it can open again."""
    monkeypatch.setattr(circuit_breaker, "PROBE_SECONDS", 0.001)
    answers, observed, answered = [NotConnected(), Silent(), OSError(), None] * 2, list[bool](), asyncio.Event()

    async def probe() -> None:
        observed.append(breaker.open)
        if answer := answers.pop(0):
            raise answer
        answered.set()

    breaker = CircuitBreaker(probe)
    async with running(breaker.probe_periodically), asyncio.timeout(60):
        for probes in (4, 8):
            breaker.failed(NotConnected())
            await answered.wait()
            assert (breaker.open, observed) == (False, [True] * probes)
            answered.clear()
