"""What is compressed is unpacked within bounds."""

import gzip
import random

import pytest

from gateway.http.problems import NotScorable, TooLarge
from gateway.requests.compression import LITTLE_BYTES, MAX_RATIO, unpack

RANDOM = random.Random(1).randbytes(300_000).hex().encode()  # noqa: S311 - bytes that do not compress well


def test_what_was_compressed_comes_back() -> None:
    """In one part or in several."""
    assert unpack(gzip.compress(RANDOM), len(RANDOM)) == RANDOM
    assert unpack(gzip.compress(RANDOM) + gzip.compress(b"end"), 10**6) == RANDOM + b"end"
    assert unpack(b"", 1) == b""


DAMAGED = {
    "no gzip": b"x",
    "cut short": gzip.compress(RANDOM)[:-9],
    "followed": gzip.compress(b"a") + b"x",
    "a head alone": b"\x1f\x8b\x08",
}


@pytest.mark.parametrize("body", DAMAGED.values(), ids=list(DAMAGED))
def test_what_is_damaged_is_refused(body: bytes) -> None:
    """Cut short, followed by something else, or no gzip at all."""
    with pytest.raises(NotScorable):
        unpack(body, 10**6)


def test_what_unpacks_to_too_much_is_refused_before_it_has() -> None:
    """By its size, and by how many times its own size that is."""
    with pytest.raises(TooLarge, match="The limit is 599999 bytes"):
        unpack(gzip.compress(RANDOM), len(RANDOM) - 1)
    with pytest.raises(TooLarge, match=f"more than {MAX_RATIO} times"):
        unpack(gzip.compress(b"0" * 10**9), 10**12)


def test_a_little_may_be_as_repetitive_as_it_likes() -> None:
    """A few hundred equal rows are no attack."""
    assert len(unpack(gzip.compress(b"0" * LITTLE_BYTES), 10**6)) == LITTLE_BYTES
