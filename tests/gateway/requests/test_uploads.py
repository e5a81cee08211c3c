"""Files out of a request's body, a few at a time."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from gateway.allocator import TRIM_BYTES
from gateway.http.problems import Busy, NotScorable, TooSlow
from gateway.http.protocol import WHOLE
from gateway.metrics import Metrics
from gateway.requests import uploads as module
from gateway.requests.payload import INLINE_BYTES
from gateway.requests.uploads import Uploads
from gateway.settings import GatewaySettings

SMALL, MEDIUM = bytearray(INLINE_BYTES), bytearray(INLINE_BYTES + 1)
LARGE = bytearray(module.MEDIUM_BODY_BYTES + 1)
CSV_TYPE = (b"content-type", b"text/csv")


def uploads(**changes: object) -> Uploads:
    """One slot, and a short timeout."""
    settings = GatewaySettings(api_key="k", upload_slots=1, slot_seconds=0.01, read_seconds=0.01)
    return Uploads(settings.model_copy(update=changes), Metrics())


def request(*messages: bytes, headers: tuple[tuple[bytes, bytes], ...] = (CSV_TYPE,)) -> Request:
    """One whose body comes in so many messages, and then not its end."""
    pending = list(messages)

    async def receive() -> Message:
        if not pending:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": pending.pop(0), "more_body": True}

    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


@pytest.mark.anyio
async def test_a_full_house_is_busy() -> None:
    """A caller who gets no slot in time is told so, and a freed slot is given again."""
    house = uploads()
    async with house.slot(LARGE):
        with pytest.raises(Busy):
            async with house.slot(LARGE):
                raise AssertionError("two held the only slot")
    async with house.slot(LARGE):
        pass


@pytest.mark.anyio
async def test_memory_goes_back_after_a_large_body_that_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """To read all its rows and their faults took as much as to score it."""
    given = list[bool]()
    monkeypatch.setattr(module, "trim", lambda: given.append(True))
    with pytest.raises(NotScorable):
        async with uploads().slot(bytearray(TRIM_BYTES + 1)):
            raise NotScorable("each row has a fault")
    assert given


@pytest.mark.anyio
async def test_a_small_body_needs_no_slot() -> None:
    """It waits for no large one."""
    house = uploads()
    async with house.slot(LARGE), house.slot(SMALL):
        pass


@pytest.mark.anyio
async def test_a_medium_body_waits_for_no_large_one() -> None:
    """It has slots of its own, and these are bounded too."""
    house = uploads()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(house.slot(LARGE))
        for _ in range(module.MEDIUM_SLOTS):
            await stack.enter_async_context(house.slot(MEDIUM))
        with pytest.raises(Busy):
            await stack.enter_async_context(house.slot(MEDIUM))


@pytest.mark.anyio
async def test_large_bodies_have_their_turns_in_the_order_in_which_they_came() -> None:
    """None is refused while they are answered in time, however many they are."""
    house, turns = uploads(slot_seconds=60), list[int]()

    async def score(number: int) -> None:
        async with house.slot(LARGE):
            turns.append(number)
            await asyncio.sleep(0)

    async with house.slot(LARGE):
        waiting = [asyncio.create_task(score(number)) for number in range(20)]
        await asyncio.sleep(0)
        assert turns == []
    await asyncio.gather(*waiting)
    assert turns == list(range(20))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers",
    [(CSV_TYPE,), ((b"content-type", b"multipart/form-data; boundary=b"),), ((b"content-length", b"9"),)],
)
@pytest.mark.parametrize("messages", [(), (b"x", b"y")])
async def test_a_body_that_does_not_come_is_given_up(
    headers: tuple[tuple[bytes, bytes], ...], messages: tuple[bytes, ...]
) -> None:
    """A caller who sends nothing, or not all, is not waited for; a form, a file and what says it is small alike."""
    with pytest.raises(TooSlow):
        async with uploads().received(request(*messages, headers=headers)):
            raise AssertionError("it was whole")


@pytest.mark.anyio
async def test_slow_callers_hold_no_place() -> None:
    """While a hundred bodies trickle in, of either size, another one is read and has its turn at being scored."""
    house = uploads(read_seconds=30)

    async def trickle(headers: tuple[tuple[bytes, bytes], ...]) -> None:
        async with house.received(request(b"x", headers=headers)):
            raise AssertionError("it was whole")

    kinds = ((CSV_TYPE,), ((b"content-length", b"100"),))
    slow = [asyncio.create_task(trickle(kinds[place % 2])) for place in range(100)]
    await asyncio.sleep(0)
    try:
        async with house.received(whole(bytes(LARGE))) as body, house.slot(body):
            assert body == LARGE
    finally:
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


def whole(body: bytes) -> Request:
    """A request whose body is there."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": (CSV_TYPE,)}, receive)


def arrived(message: Message) -> Request:
    """A small request whose body is there."""

    async def receive() -> Message:
        return message

    headers = [(b"content-length", b"4")]
    return Request({"type": "http", "method": "POST", "headers": headers, WHOLE: True}, receive)


@pytest.mark.anyio
async def test_a_body_that_is_there_is_taken_and_counted() -> None:
    """It holds its bytes of the budget of small bodies until it is done with."""
    house = uploads()
    async with house.received(arrived({"type": "http.request", "body": b"body", "more_body": False})) as body:
        assert (bytes(body), house._small._used) == (b"body", 4)
    assert house._small._used == 0


@pytest.mark.anyio
async def test_a_caller_who_has_gone_has_no_body() -> None:
    """Though it had arrived: nobody would receive the answer."""
    with pytest.raises(ClientDisconnect):
        async with uploads().received(arrived({"type": "http.disconnect"})):
            raise AssertionError("there was a body")
