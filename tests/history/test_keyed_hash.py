"""Digests that only who knows the key can make."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from history.keyed_hash import ID_BYTES, UNKEYED, HistoryKey
from tests.keys import HISTORY_KEY, KEY

SECRETS = st.lists(st.binary(min_size=32, max_size=32), max_size=3)
TEXTS = st.text(st.characters(), max_size=30)


@given(SECRETS, SECRETS, TEXTS)
def test_a_key_goes_on_top_of_an_earlier_ones_digests(first: list[bytes], more: list[bytes], text: str) -> None:
    """Without the text: what makes rotation, and the step from no key, possible."""
    earlier, later = HistoryKey(first), HistoryKey([*first, *more])
    for old, new in ((earlier.transactions, later.transactions), (earlier.entities, later.entities)):
        assert later.after(earlier).keyed(old.digest(text)) == new.digest(text)
    checks = [HistoryKey([*first, *more][:count]).check for count in range(len(first + more))]
    assert [each.check for each in later.earlier] == checks


def test_no_key_is_what_releases_before_it_hashed() -> None:
    """So that what they wrote is found."""
    for hasher, person in ((UNKEYED.transactions, b"transaction"), (UNKEYED.entities, b"entity")):
        assert hasher.digest("4111") == hashlib.blake2b(b"4111", digest_size=ID_BYTES, person=person).digest()
    assert UNKEYED.guarded("return 1") == "return 1"


@given(SECRETS, st.lists(TEXTS, max_size=5))
def test_many_digests_are_those_of_each_text(secrets: list[bytes], texts: list[str]) -> None:
    """Whatever the number of secrets."""
    hasher = HistoryKey(secrets).transactions
    assert hasher.digests(texts).tobytes() == b"".join(map(hasher.digest, texts))


def test_keys_differ_in_every_digest() -> None:
    """And in their check, which is none of the secret's own digests."""
    other = HistoryKey.of("f" * 64)
    assert KEY.transactions.digest("a") != other.transactions.digest("a") != other.entities.digest("a")
    assert len({KEY.check, other.check, UNKEYED.check}) == 3


@pytest.mark.parametrize("text", ["", ",", "s3cr3t", f"{HISTORY_KEY},", f"{HISTORY_KEY},s3cr3t"])
def test_a_secret_that_could_be_guessed_is_refused(text: str) -> None:
    """A short one, or none between commas; the message repeats nothing."""
    with pytest.raises(ValueError, match="at least 32 characters") as refused:
        HistoryKey.of(text)
    assert not [part for part in text.split(",") if part and part in str(refused.value)]


def test_space_around_secrets_does_not_count() -> None:
    """A file ends with a line's end."""
    assert HistoryKey.of(f" {HISTORY_KEY} , {'b' * 32}\n").check == HistoryKey.of(f"{HISTORY_KEY},{'b' * 32}").check
