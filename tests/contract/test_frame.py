import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.frame import DESCRIBE, HEADER, MAGIC, Frame, FrameError

FINGERPRINTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
UINT32 = st.integers(0, 2**32 - 1)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """Any shape, any bits: NaN with any payload, infinity, subnormals."""
    rows, columns = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    size = 4 * rows * columns
    bits = draw(st.binary(min_size=size, max_size=size))
    return Frame(draw(UINT32), draw(FINGERPRINTS), np.frombuffer(bits, dtype="<f4").reshape(rows, columns))


@given(frames())
def test_a_frame_survives_its_own_bytes(frame: Frame) -> None:
    """Version, fingerprint, shape and every bit of the values come back."""
    again = Frame.from_bytes(frame.to_bytes())
    assert (again.version, again.fingerprint) == (frame.version, frame.fingerprint)
    assert again.values.shape == frame.values.shape
    assert again.values.tobytes() == frame.values.tobytes()


@given(frames())
def test_every_truncation_is_a_frame_error(frame: Frame) -> None:
    """A frame cut at any byte is refused."""
    data = frame.to_bytes()
    for length in range(len(data)):
        with pytest.raises(FrameError):
            Frame.from_bytes(data[:length])


@given(frames(), st.binary(min_size=1))
def test_every_extension_is_a_frame_error(frame: Frame, more: bytes) -> None:
    """A frame with bytes after its end is refused."""
    with pytest.raises(FrameError):
        Frame.from_bytes(frame.to_bytes() + more)


@given(st.binary() | st.binary(max_size=60).map(lambda rest: MAGIC + rest))
def test_any_bytes_are_a_frame_or_a_frame_error(data: bytes) -> None:
    """Bytes of any kind never raise another exception."""
    try:
        frame = Frame.from_bytes(data)
    except FrameError:
        return
    assert frame.to_bytes() == data


@given(UINT32, UINT32, st.binary(max_size=16))
def test_a_header_that_lies_is_a_frame_error(rows: int, columns: int, rest: bytes) -> None:
    """Rows and columns of any size are checked against the length, without overflow or allocation."""
    data = HEADER.pack(MAGIC, 1, rows, columns, bytes(32)) + rest
    if 4 * rows * columns == len(rest):
        assert Frame.from_bytes(data).values.shape == (rows, columns)
        return
    with pytest.raises(FrameError):
        Frame.from_bytes(data)


@pytest.mark.parametrize("shape", [(0, 2**32 - 1), (2**32 - 1, 0), (0, 0)])
def test_an_empty_frame_may_have_any_shape(shape: tuple[int, int]) -> None:
    """Where there are no values the header alone is the whole frame."""
    assert Frame.from_bytes(HEADER.pack(MAGIC, 1, *shape, bytes(32))).values.shape == shape


def test_the_wire_format_is_fixed() -> None:
    """A frame is these bytes, little-endian, on any machine and in any later release."""
    frame = Frame(7, "ab" * 32, np.array([[1.0, -2.0, 0.5]], dtype=np.float32))
    header = b"FRD1" + bytes([7, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0]) + b"\xab" * 32
    assert frame.to_bytes() == header + bytes.fromhex("0000803f000000c00000003f")


@pytest.mark.parametrize("values", [np.ones((3, 2))[:, ::-1], np.ones((2, 3)).T, np.ones((3, 2), dtype=">f4")])
def test_any_memory_layout_travels_alike(values: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
    """Views, float64 and big-endian arrays give the frame of their values."""
    plain = Frame(1, "00" * 32, np.ones((3, 2), dtype=np.float32))
    assert Frame(1, "00" * 32, values).to_bytes() == plain.to_bytes()


def test_values_are_a_view_of_the_bytes() -> None:
    """Reading a large frame does not copy it."""
    data = bytearray(Frame(1, "00" * 32, np.zeros((1, 1), dtype=np.float32)).to_bytes())
    values = Frame.from_bytes(data).values
    data[HEADER.size :] = np.float32(2).tobytes()
    assert values[0, 0] == 2


def test_a_request_to_describe_is_no_frame() -> None:
    """The bytes that ask for a description cannot be mistaken for a frame."""
    with pytest.raises(FrameError):
        Frame.from_bytes(DESCRIBE)
