"""Bodies and files that are compressed by gzip, within a bound on what they unpack to."""

import zlib

from gateway.http.body_limit import too_large
from gateway.http.problems import NotScorable, TooLarge

GZIP = b"\x1f\x8b"
MAX_RATIO = 30
"""Times its size that a body may unpack to. Transactions take three to eight times; what holds a place by its size must
not become a thousand times that."""
LITTLE_BYTES = 65_536
"""What any body may unpack to."""
PIECE_BYTES = 1 << 20
WINDOW_BITS = 31
"""Of gzip: as zlib's own, with its header and checksum."""


def unpack(body: bytes | bytearray, max_bytes: int) -> bytes:
    """What a gzip body holds; several parts one behind the other are one.

    Raises:
        NotScorable: it is damaged.
        TooLarge: it unpacks to more than MAX_RATIO times its size, or to more than `max_bytes`.
    """
    pieces, size, rest = list[bytes](), 0, bytes(body)
    try:
        while rest:
            stream = zlib.decompressobj(WINDOW_BITS)
            while rest and not stream.eof:
                piece = stream.decompress(rest, PIECE_BYTES)
                size += len(piece)
                _require_small(size, len(body), max_bytes)
                pieces.append(piece)
                rest = stream.unconsumed_tail
            if not stream.eof:
                raise NotScorable("The compressed body is cut short.")
            rest = stream.unused_data
    except zlib.error:
        raise NotScorable("The body is not gzip, or is damaged.") from None
    return b"".join(pieces)


def _require_small(size: int, packed: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise too_large(max_bytes)
    if size > max(MAX_RATIO * packed, LITTLE_BYTES):
        raise TooLarge(f"It unpacks to more than {MAX_RATIO} times its size: send it uncompressed.")
