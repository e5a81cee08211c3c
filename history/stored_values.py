"""History values as Redis keeps them for repeats: each bit as it was, in fewer bytes.

The values of a request stand in chunks of CHUNK_ROWS rows, column by column: a column of small whole numbers as bytes,
one of few distinct values as numbers of these, any other as its eight bytes a value, the first bytes of all values
first. Measured on the default model: 14 values take 112 bytes as numbers, 34 so.
"""

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

CHUNK_ROWS = 500
RAW, PLAIN, COMPRESSED = b"\0", b"\1", b"\2"
"""The first byte of a chunk: one row of plain numbers, as releases before kept it; columns; compressed columns."""
BYTES, DISTINCT, NUMBERS = 0, 1, 2
MAX_DISTINCT = 32
"""Values that a column of DISTINCT may have; with more, their table would take what the numbers save."""

Matrix = NDArray[np.float64]


def encode_chunks(matrix: Matrix) -> Iterator[bytes]:
    """The chunks of a matrix of shape (rows, features), in order."""
    for at in range(0, len(matrix), CHUNK_ROWS):
        columns = np.ascontiguousarray(matrix[at : at + CHUNK_ROWS].T, dtype="<f8")
        body = len(columns[0] if len(columns) else ()).to_bytes(2, "little") + b"".join(map(_encode_column, columns))
        compressed = zlib.compress(body, 1)
        yield COMPRESSED + compressed if len(compressed) < len(body) else PLAIN + body


def decode_chunk(chunk: bytes, width: int) -> Matrix | None:
    """A matrix of shape (rows, width); None where the bytes are no chunk of so many features."""
    try:
        if chunk[:1] == RAW:
            return np.frombuffer(chunk, "<f8", offset=1).reshape(1, width)
        body = zlib.decompress(chunk[1:]) if chunk[:1] == COMPRESSED else chunk[1:]
        return _decode_columns(body, width)
    except (zlib.error, ValueError, IndexError):
        return None


def _encode_column(values: Matrix) -> bytes:
    bits = values.view("<i8")
    with np.errstate(invalid="ignore"):
        small = values.astype(np.uint8)
    if (small.astype("<f8").view("<i8") == bits).all():
        return bytes([BYTES]) + small.tobytes()
    distinct, numbers = np.unique(bits, return_inverse=True)
    if len(distinct) <= min(MAX_DISTINCT, len(values) // 8):
        return bytes([DISTINCT, len(distinct)]) + distinct.tobytes() + numbers.astype(np.uint8).tobytes()
    return bytes([NUMBERS]) + values.view(np.uint8).reshape(-1, 8).T.tobytes()


def _decode_columns(body: bytes, width: int) -> Matrix:
    rows, at = int.from_bytes(body[:2], "little"), 2
    result = np.empty((width, rows))
    for column in result:
        kind, at = body[at], at + 1
        if kind == BYTES:
            column[:] = np.frombuffer(body, np.uint8, rows, at)
            at += rows
        elif kind == DISTINCT:
            count = body[at]
            distinct = np.frombuffer(body, "<f8", count, at + 1)
            column[:] = distinct[np.frombuffer(body, np.uint8, rows, at + 1 + 8 * count)]
            at += 1 + 8 * count + rows
        else:
            column[:] = np.frombuffer(body, np.uint8, 8 * rows, at).reshape(8, rows).T.copy().view("<f8")[:, 0]
            at += 8 * rows
    if at != len(body):
        raise ValueError("another number of features")
    return result.T
