"""Connections that do not grow old."""

import asyncio
from dataclasses import dataclass, field

import httpx
import pytest

from gateway.models.renewing_transport import RENEW_SECONDS, RenewingTransport

pytestmark = pytest.mark.anyio
REQUEST = httpx.Request("GET", "http://models/")
WAIT_SECONDS = 20.0


@dataclass
class Numbered(httpx.AsyncBaseTransport):
    """A transport that answers with its own number, when it may."""

    number: int
    may_answer: asyncio.Event
    closed: bool = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answers, unless it was closed meanwhile."""
        await self.may_answer.wait()
        if self.closed:
            raise httpx.ReadError("closed")
        return httpx.Response(200, text=str(self.number))

    async def aclose(self) -> None:
        """Ends it."""
        self.closed = True


@dataclass
class Stage:
    """A clock that is set by hand, and every transport that was made."""

    now: float = 0.0
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    made: list[Numbered] = field(default_factory=list)

    def renewed(self) -> RenewingTransport:
        """What is tested."""
        self.may_answer.set()
        return RenewingTransport(self._make, WAIT_SECONDS, lambda: self.now)

    def _make(self) -> Numbered:
        self.made.append(Numbered(len(self.made), self.may_answer))
        return self.made[-1]

    @property
    def closed(self) -> list[int]:
        """Which have ended."""
        return [each.number for each in self.made if each.closed]


async def send(transport: RenewingTransport) -> str:
    """Which transport answers now."""
    return (await transport.handle_async_request(REQUEST)).text


async def test_a_busy_connection_is_given_up_after_a_while() -> None:
    """However many requests there are, connections are made anew after half a minute."""
    stage = Stage()
    transport = stage.renewed()
    answers = []
    for stage.now in (0.0, RENEW_SECONDS, RENEW_SECONDS + 1, 2 * RENEW_SECONDS, 2 * RENEW_SECONDS + 2):
        answers.append(await send(transport))
    assert answers == ["0", "0", "1", "1", "2"]


async def test_what_is_under_way_ends_on_its_own_connection() -> None:
    """A request that began before the change is answered after it; the old connections end when none can be on them."""
    stage = Stage()
    transport = stage.renewed()
    stage.may_answer.clear()
    early = asyncio.create_task(send(transport))
    await asyncio.sleep(0)
    stage.now = RENEW_SECONDS + 1
    late = asyncio.create_task(send(transport))
    await asyncio.sleep(0)
    stage.may_answer.set()
    assert (await early, await late, stage.closed) == ("0", "1", [])
    stage.now += WAIT_SECONDS + 1
    assert await send(transport) == "1"
    await asyncio.sleep(0)
    assert stage.closed == [0]


async def test_all_of_them_end_with_the_gateway() -> None:
    """Closing ends the old ones and the present one."""
    stage = Stage()
    transport = stage.renewed()
    stage.now = RENEW_SECONDS + 1
    await send(transport)
    await transport.aclose()
    assert stage.closed == [0, 1]
