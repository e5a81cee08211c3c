"""Values for repeats: each bit as it was, in fewer bytes."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from history.stored_values import CHUNK_ROWS, COMPRESSED, PLAIN, RAW, SPLIT, decode_chunk, encode_chunks

CELLS = st.floats(width=64) | st.integers(0, 300).map(float) | st.sampled_from([0.0, -0.0, np.nan, np.inf, 0.1, 7.25])


@given(width=st.integers(1, 4), rows=st.integers(1, 40), data=st.data())
def test_values_are_read_as_they_were_stored(width: int, rows: int, data: st.DataObject) -> None:
    """Any number, missing ones and the sign of zero included."""
    cells = data.draw(st.lists(CELLS, min_size=width * rows, max_size=width * rows))
    matrix = np.array(cells, dtype="<f8").reshape(rows, width)
    (chunk,) = encode_chunks(matrix)
    decoded = decode_chunk(chunk, width)
    assert decoded is not None
    assert np.ascontiguousarray(decoded).tobytes() == matrix.tobytes()


def test_many_rows_are_several_chunks() -> None:
    """Row n of a request stands in chunk n // CHUNK_ROWS."""
    matrix = np.random.default_rng(1).random((2 * CHUNK_ROWS + 3, 2))
    decoded = [decode_chunk(chunk, 2) for chunk in encode_chunks(matrix)]
    assert [len(each) for each in decoded if each is not None] == [CHUNK_ROWS, CHUNK_ROWS, 3]
    np.testing.assert_array_equal(np.concatenate([each for each in decoded if each is not None]), matrix)


def test_a_row_of_a_release_before_is_read() -> None:
    """As plain numbers, behind the byte that the script puts there."""
    decoded = decode_chunk(RAW + np.array([1.5, 2.5]).tobytes(), 2)
    assert decoded is not None
    assert decoded.tolist() == [[1.5, 2.5]]


@pytest.mark.parametrize("chunk", [b"", b"\0123", b"\1", b"\2no", b"\1\1\0\0", b"\1\1\0\1\5", b"\7abc"])
def test_what_is_no_chunk_holds_no_values(chunk: bytes) -> None:
    """A damaged one costs its repeats their values, and nobody an error."""
    assert decode_chunk(chunk, 2) is None


@given(chunk=st.binary(max_size=60), width=st.integers(1, 5))
def test_no_bytes_fail(chunk: bytes, width: int) -> None:
    """Whatever stands there."""
    decoded = decode_chunk(chunk, width)
    assert decoded is None or decoded.shape[1] == width


def test_a_chunk_of_a_release_before_is_read() -> None:
    """It compressed the low bytes of numbers too: here a column of bytes and one of numbers."""
    matrix = np.array([[3.0, 0.1], [4.0, -0.2], [5.0, 1e9]])
    body = b"\3\0" + b"\0\3\4\5" + b"\2" + np.ascontiguousarray(matrix[:, 1]).view(np.uint8).reshape(-1, 8).T.tobytes()
    for chunk in (COMPRESSED + zlib.compress(body, 1), PLAIN + body):
        decoded = decode_chunk(chunk, 2)
        assert decoded is not None
        assert decoded.tolist() == matrix.tolist()


def test_a_chunk_that_is_cut_short_holds_no_values() -> None:
    """Within what is compressed, or within the bytes that follow."""
    matrix = np.random.default_rng(1).random((100, 2)) * [1, 0] + [0, 7]
    (chunk,) = encode_chunks(matrix)
    assert chunk[:1] == SPLIT
    assert decode_chunk(chunk, 2) is not None
    assert [decode_chunk(chunk[:size], 2) for size in (1, 5, len(chunk) - 1)] == [None] * 3
    assert decode_chunk(chunk + b"x", 2) is None
