"""Answers of other servers, which may be false ones: read up to a bound, and never unpacked."""

from collections.abc import AsyncIterator

import httpx


class AsyncBoundedTransport(httpx.AsyncBaseTransport):
    """A transport whose answers are ended at so many bytes; one that is packed is not read at all."""

    def __init__(self, inner: httpx.AsyncBaseTransport, most: int) -> None:
        """Takes the transport that connects."""
        self._inner = inner
        self._most = most

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends it.

        Raises:
            httpx.DecodingError: the answer is packed; a few bytes of it can be a gigabyte.
        """
        answer = await self._inner.handle_async_request(request)
        if answer.headers.get("content-encoding", "identity") != "identity":
            await answer.aclose()
            raise httpx.DecodingError("it is packed", request=request)
        if isinstance(answer.stream, httpx.AsyncByteStream):
            answer.stream = _BoundedStream(answer.stream, self._most)
        return answer

    async def aclose(self) -> None:
        """Closes the transport that connects."""
        await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, most: int) -> None:
        self._inner = inner
        self._left = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._inner:
            self._left -= len(piece)
            if self._left < 0:
                raise httpx.ReadError("it is larger than any answer")
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()
