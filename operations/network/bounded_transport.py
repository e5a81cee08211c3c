"""Answers of other servers, which may be false ones: read up to a bound, and never unpacked."""

from collections.abc import Iterator

import httpx

MOST_BYTES = 8_000_000
"""Larger than any answer that is asked for: the largest are descriptions and lists of versions."""


class BoundedTransport(httpx.BaseTransport):
    """A transport whose answers are ended at so many bytes; one that is packed is not read at all."""

    def __init__(self, inner: httpx.BaseTransport | None = None, most: int = MOST_BYTES) -> None:
        """Takes the transport that connects; by itself one that uses no proxy."""
        self._inner = inner or httpx.HTTPTransport(trust_env=False)
        self._most = most

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends it, and asks for an answer that is not packed.

        Raises:
            httpx.DecodingError: the answer is packed all the same; a few bytes of it can be a gigabyte.
        """
        request.headers["accept-encoding"] = "identity"
        answer = self._inner.handle_request(request)
        if answer.headers.get("content-encoding", "identity") != "identity":
            answer.close()
            raise httpx.DecodingError("it is packed", request=request)
        if isinstance(answer.stream, httpx.SyncByteStream):
            answer.stream = _Bounded(answer.stream, self._most)
        return answer

    def close(self) -> None:
        """Closes the transport that connects."""
        self._inner.close()


class _Bounded(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, most: int) -> None:
        self._inner = inner
        self._left = most

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._inner:
            self._left -= len(piece)
            if self._left < 0:
                raise httpx.ReadError("it is larger than any answer")
            yield piece

    def close(self) -> None:
        self._inner.close()
