"""Responses of other servers, which may not be the right ones: read up to a bound, and never decompressed."""

from collections.abc import AsyncIterator

import httpx


class AsyncBoundedTransport(httpx.AsyncBaseTransport):
    """Ends a response at `max_bytes`; one that is compressed is not read at all."""

    def __init__(self, inner: httpx.AsyncBaseTransport, max_bytes: int) -> None:
        """Takes the transport that connects."""
        self._inner = inner
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends it.

        Raises:
            httpx.DecodingError: the response is compressed; a few bytes of it can be a gigabyte.
        """
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx.DecodingError("it is packed", request=request)
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _BoundedStream(response.stream, self._max_bytes)
        return response

    async def aclose(self) -> None:
        """Closes the transport that connects."""
        await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, max_bytes: int) -> None:
        self._inner = inner
        self._left = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._inner:
            self._left -= len(piece)
            if self._left < 0:
                raise httpx.ReadError("it is larger than any answer")
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()
