"""Large responses on their way to their callers: within one byte budget, and sent in slices as the caller reads.

A scoring slot is left only once there is room for the response. A caller who does not read stops nobody, since the
slowest transfer is ended first.
"""

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.allocator import TRIM_BYTES, trim_in_thread
from gateway.http.byte_budget import ByteBudget, Reservation, TransferLimits

SLICE_BYTES = 65_536
"""The server takes the next one when the caller's connection has taken most of the one before."""
LIMITS = TransferLimits(seconds=600.0, stall_seconds=60.0, least_rate=1_000.0)
WAIT_SECONDS = 30.0


class ResponseBudget:
    """The memory of all responses that are being sent."""

    def __init__(self, total: int, limits: TransferLimits = LIMITS) -> None:
        """Takes how many bytes of responses may be in memory, and how fast each must be read."""
        self._budget = ByteBudget(total, WAIT_SECONDS)
        self._limits = limits

    async def reserve(self, request: Request, response: Response) -> Response:
        """The response, which counts towards the budget until it is sent if it is large.

        Raises:
            Busy: others have not read theirs in time.
        """
        if len(response.body) <= SLICE_BYTES:
            return response
        if len(response.body) > TRIM_BYTES:
            request.state.until_sent.callback(trim_in_thread)
        reservation = request.state.until_sent.enter_context(self._budget.reserve())
        await reservation.acquire(len(response.body))
        return _SlicedResponse(response, reservation, self._limits)


class _SlicedResponse(Response):
    """A response that hands over its body as fast as it is read."""

    def __init__(self, whole: Response, reservation: Reservation, limits: TransferLimits) -> None:
        super().__init__(status_code=whole.status_code)
        self.body = whole.body
        self.raw_headers = whole.raw_headers
        self._reservation = reservation
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        try:
            async with self._reservation.transfer(self._limits):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                rest = memoryview(self.body)
                while rest:
                    piece, rest = bytes(rest[:SLICE_BYTES]), rest[SLICE_BYTES:]
                    await send({"type": "http.response.body", "body": piece, "more_body": bool(rest)})
                    self._reservation.progressed(len(piece))
                    self._reservation.release(len(piece))
        except TimeoutError:
            raise ClientDisconnect from None  # It was not read fast enough.
