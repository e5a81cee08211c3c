"""What may happen to the bytes of an archive."""

import random
from collections.abc import Iterator

FLIPS = 500


def flips(data: bytes, count: int = FLIPS) -> Iterator[bytes]:
    """The data with one bit of one byte changed, at so many distinct places; the same each time."""
    chance = random.Random(7)  # noqa: S311 - the same damages each time
    for place in chance.sample(range(len(data)), count):
        yield data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def cuts(data: bytes, step: int = 1) -> Iterator[bytes]:
    """The data cut off after every `step` bytes, from nothing on; never whole."""
    return (data[:length] for length in range(0, len(data), step))
