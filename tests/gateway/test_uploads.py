"""Files out of a request's body, a few at a time."""

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from gateway.metrics import Metrics
from gateway.problems import Busy, TooSlow
from gateway.settings import Settings
from gateway.uploads import Uploads


def uploads(**changes: object) -> Uploads:
    """One slot, and little patience."""
    settings = Settings(api_key="k", upload_slots=1, slot_seconds=0.01, read_seconds=0.01)
    return Uploads(settings.model_copy(update=changes), Metrics())


@pytest.mark.anyio
async def test_a_full_house_is_busy() -> None:
    """A caller who gets no slot in time is told so, and a freed slot is given again."""
    house = uploads()
    async with house.slot():
        with pytest.raises(Busy):
            async with house.slot():
                raise AssertionError("two held the only slot")
    async with house.slot():
        pass


@pytest.mark.anyio
async def test_a_body_that_does_not_come_is_given_up() -> None:
    """A caller who sends nothing does not hold a slot for ever."""

    async def silence() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("nothing comes")

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"text/csv")]}
    with pytest.raises(TooSlow):
        await uploads().one(Request(scope, silence))


@pytest.mark.anyio
async def test_a_form_that_does_not_come_is_given_up() -> None:
    """The same holds for a form."""

    async def silence() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("nothing comes")

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    with pytest.raises(TooSlow):
        await uploads().one(Request({"type": "http", "method": "POST", "headers": headers}, silence))
