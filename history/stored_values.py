"""History values as Redis keeps them for repeats: each bit as it was, in fewer bytes.

The values of a request stand in chunks of CHUNK_ROWS rows, column by column: a column of small whole numbers as bytes,
one of few distinct values as numbers of these, any other as its eight bytes a value, the first bytes of all values
first. Measured on the default model: 14 values take 112 bytes as numbers, 32 so. Of eight bytes only the highest is
worth compressing: the others stand behind what is compressed, as they are.
"""

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

CHUNK_ROWS = 500
RAW, PLAIN, COMPRESSED, SPLIT = b"\0", b"\1", b"\2", b"\3"
"""The first byte of a chunk: one row of plain numbers, or compressed columns, as releases before kept them; columns; or
compressed columns without the low bytes of NUMBERS, which follow."""
MIN_COMPRESSED_ROWS = 4
"""Fewer rows are not smaller when they are compressed."""
LOW_BYTES = 7
"""Of the eight of a number: those that zlib makes no smaller."""
BYTES, DISTINCT, NUMBERS = 0, 1, 2
MAX_DISTINCT = 32
"""Values that a column of DISTINCT may have; with more, their table would take what the numbers save."""

Matrix = NDArray[np.float64]


def encode_chunks(matrix: Matrix) -> Iterator[bytes]:
    """The chunks of a matrix of shape (rows, features), in order."""
    for at in range(0, len(matrix), CHUNK_ROWS):
        columns = np.ascontiguousarray(matrix[at : at + CHUNK_ROWS].T, dtype="<f8")
        encoded = _encode_columns(columns)
        rows = columns.shape[1].to_bytes(2, "little")
        head = rows + b"".join([highest for highest, _ in encoded])
        compressed = zlib.compress(head, 1) if columns.shape[1] >= MIN_COMPRESSED_ROWS else head
        if len(compressed) < len(head):
            yield SPLIT + compressed + b"".join([low for _, low in encoded])
        else:
            yield PLAIN + rows + b"".join([each[0][:1] + each[1] + each[0][1:] for each in encoded])


def decode_chunk(chunk: bytes, width: int) -> Matrix | None:
    """A matrix of shape (rows, width); None where the bytes are no chunk of so many features."""
    try:
        if chunk[:1] == RAW:
            return np.frombuffer(chunk, "<f8", offset=1).reshape(1, width)
        if chunk[:1] == SPLIT:
            stream = zlib.decompressobj()
            head = stream.decompress(chunk[1:])
            return _decode_columns(head, stream.unused_data, width)
        body = zlib.decompress(chunk[1:]) if chunk[:1] == COMPRESSED else chunk[1:]
        return _decode_columns(body, None, width)
    except (zlib.error, ValueError, IndexError):
        return None


def _encode_columns(columns: Matrix) -> list[tuple[bytes, bytes]]:
    """The kind and the bytes of each column, and apart from them the low bytes of NUMBERS."""
    bits = columns.view("<i8")
    with np.errstate(invalid="ignore"):
        small = columns.astype(np.uint8)
    is_small = (small.astype("<f8").view("<i8") == bits).all(axis=1).tolist()
    return [
        (bytes([BYTES]) + values.tobytes(), b"") if fits else _encode_numbers(own)
        for values, own, fits in zip(small, bits, is_small, strict=True)
    ]


def _encode_numbers(bits: NDArray[np.int64]) -> tuple[bytes, bytes]:
    for sample in (bits[: 2 * MAX_DISTINCT], bits):  # The first few say of nearly each column which values it has.
        table = np.array(sorted(set(sample.tolist())), dtype="<i8")
        if len(table) > min(MAX_DISTINCT, len(bits) // 8):
            break
        numbers = table.searchsorted(bits)
        if (table.take(numbers, mode="clip") == bits).all():
            return bytes([DISTINCT, len(table)]) + table.tobytes() + numbers.astype(np.uint8).tobytes(), b""
    planes = bits.view(np.uint8).reshape(-1, 8).T
    return bytes([NUMBERS]) + planes[LOW_BYTES].tobytes(), planes[:LOW_BYTES].tobytes()


def _decode_columns(body: bytes, low: bytes | None, width: int) -> Matrix:
    """A matrix of columns; where the low bytes of NUMBERS are given, they stand there and not in their column."""
    rows, at = int.from_bytes(body[:2], "little"), 2
    low_at, inner = 0, 8 if low is None else 8 - LOW_BYTES
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
            planes = np.frombuffer(body, np.uint8, inner * rows, at)
            if low is not None:
                planes = np.concatenate([np.frombuffer(low, np.uint8, LOW_BYTES * rows, low_at), planes])
                low_at += LOW_BYTES * rows
            column[:] = planes.reshape(8, rows).T.copy().view("<f8")[:, 0]
            at += inner * rows
    if at != len(body) or low_at != len(low or b""):
        raise ValueError("another number of features")
    return result.T
