"""Responses of other servers, which may not be the right ones: read up to a bound, and never decompressed."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

MAX_BYTES = 8_000_000
"""More than any response that a command asks for: the largest are descriptions and lists of versions."""


class BoundedTransport(httpx.BaseTransport):
    """Ends a response at `max_bytes`; one that is compressed is not read at all."""

    def __init__(self, inner: httpx.BaseTransport | None = None, max_bytes: int = MAX_BYTES) -> None:
        """Takes the transport that connects; by default one that uses no proxy."""
        self._inner = inner or httpx.HTTPTransport(trust_env=False)
        self._max_bytes = max_bytes

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends it, and asks for a response that is not compressed.

        Raises:
            httpx.DecodingError: the response is compressed all the same; a few bytes of it can be a gigabyte.
        """
        request.headers["accept-encoding"] = "identity"
        response = self._inner.handle_request(request)
        if _is_compressed(response):
            response.close()
            raise httpx.DecodingError("it is packed", request=request)
        response.stream = _BoundedStream(response.stream, self._max_bytes)
        return response

    def close(self) -> None:
        """Closes the transport that connects."""
        self._inner.close()


class AsyncBoundedTransport(httpx.AsyncBaseTransport):
    """The same for asyncio; what it accepts is for the client to say."""

    def __init__(self, inner: httpx.AsyncBaseTransport, max_bytes: int) -> None:
        self._inner = inner
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends it.

        Raises:
            httpx.DecodingError: the response is compressed; a few bytes of it can be a gigabyte.
        """
        response = await self._inner.handle_async_request(request)
        if _is_compressed(response):
            await response.aclose()
            raise httpx.DecodingError("it is packed", request=request)
        response.stream = _BoundedStream(response.stream, self._max_bytes)
        return response

    async def aclose(self) -> None:
        """Closes the transport that connects."""
        await self._inner.aclose()


def _is_compressed(response: httpx.Response) -> bool:
    return bool(response.headers.get("content-encoding", "identity") != "identity")


class _BoundedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, inner: Any, max_bytes: int) -> None:  # noqa: ANN401 - httpx has no type for both kinds
        self._inner = inner
        self._left = max_bytes

    def __iter__(self) -> Iterator[bytes]:
        return map(self._counted, self._inner)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._inner:
            yield self._counted(piece)

    def _counted(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise httpx.ReadError("it is larger than any answer")
        return piece

    def close(self) -> None:
        self._inner.close()

    async def aclose(self) -> None:
        await self._inner.aclose()
