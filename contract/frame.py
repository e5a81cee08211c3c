"""The binary frame between the gateway and the model server, the same in both directions.

48 bytes, little-endian: magic, model version, rows, columns (uint32 each after the magic), the contract's
fingerprint (32 bytes); then rows x columns float32. A request holds the matrix; a reply holds one column, the
probabilities. Both name the version and the contract; `handlers.fraud_handler` and the gateway compare them.
"""

import struct
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

MAGIC = b"FRD1"
HEADER = struct.Struct("<4sIII32s")
DESCRIBE = b"DESCRIBE"
"""A request of these bytes asks a version for its description (`contract.description`) instead of a score."""


class FrameError(ValueError):
    """Bytes that are not one whole frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One message.

    Attributes:
        version: of the model that must score it, or that did.
        fingerprint: of that version's contract; hexadecimal SHA-256.
        values: float32, shape (rows, columns).
    """

    version: int
    fingerprint: str
    values: NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """The frame as it travels."""
        rows, columns = self.values.shape
        header = HEADER.pack(MAGIC, self.version, rows, columns, bytes.fromhex(self.fingerprint))
        return header + np.ascontiguousarray(self.values, dtype="<f4").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes | bytearray) -> Self:
        """Reads a frame; its values are a view of `data`, not a copy.

        Raises:
            FrameError: the magic or the length is wrong.
        """
        if len(data) < HEADER.size:
            raise FrameError("shorter than a frame's header")
        magic, version, rows, columns, fingerprint = HEADER.unpack_from(data)
        if magic != MAGIC:
            raise FrameError("not a frame of this format")
        if len(data) != HEADER.size + 4 * rows * columns:
            raise FrameError("its length is not what its header says")
        values = np.frombuffer(data, dtype="<f4", offset=HEADER.size).reshape(rows, columns)
        return cls(version, fingerprint.hex(), values)
