import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.release import Release, ReleaseError
from tests.contract.examples import JSON_LEAVES, JSON_VALUES

VERSIONS = st.integers(1, 10**6)


@given(VERSIONS, st.none() | VERSIONS, st.text())
def test_a_release_survives_its_own_bytes(version: int, previous: int | None, released: str) -> None:
    """What to_bytes writes, from_bytes reads back equal, with and without a previous version."""
    release = Release(version, previous, released)
    assert Release.from_bytes(release.to_bytes()) == release


@given(st.binary() | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_other_bytes_are_a_release_error(data: bytes) -> None:
    """Bytes and JSON that are no release record are a ReleaseError, never another exception."""
    with pytest.raises(ReleaseError):
        Release.from_bytes(data)


@given(st.fixed_dictionaries({"version": JSON_LEAVES, "previous": JSON_LEAVES, "released": JSON_VALUES}))
def test_a_damaged_record_is_read_or_a_release_error(fields: dict[str, object]) -> None:
    """Whatever the fields hold, the version is a number or the record is refused."""
    try:
        release = Release.from_bytes(json.dumps(fields).encode())
    except ReleaseError:
        return
    assert isinstance(release.version, int)


@pytest.mark.parametrize("field", ["version", "previous", "released"])
def test_a_field_that_is_absent_is_a_release_error(field: str) -> None:
    """Every field must be there, a null previous version too."""
    fields = json.loads(Release(2, None, "2026-01-01T00:00:00+00:00").to_bytes())
    del fields[field]
    with pytest.raises(ReleaseError):
        Release.from_bytes(json.dumps(fields).encode())


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b'{"version": 1e999, "previous": null, "released": ""}', b"", b"\xff"]
)
def test_json_that_python_stumbles_over_is_a_release_error(data: bytes) -> None:
    """A cut, nested or infinite record is a ReleaseError like the rest."""
    with pytest.raises(ReleaseError):
        Release.from_bytes(data)
