import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from releases.record import Release, ReleaseError, Trial, TrialKind
from tests.contract.examples import JSON_LEAVES, JSON_VALUES

VERSIONS = st.integers(1, 10**6)


TRIALS = st.builds(Trial, st.sampled_from(TrialKind), VERSIONS, st.floats(0, 1, exclude_min=True), st.text())
CANARY = {"kind": "canary", "version": 3, "share": 0.05, "started": "2026-01-01T00:00:00+00:00"}


@given(VERSIONS, st.none() | VERSIONS, st.text(), st.none() | TRIALS, st.none() | VERSIONS)
def test_a_release_survives_its_own_bytes(
    version: int, previous: int | None, released: str, trial: Trial | None, instead_of: int | None
) -> None:
    """What to_bytes writes, from_bytes reads back equal, with and without a previous version and a trial."""
    assume(trial is None or trial.version != version)
    release = Release(version, previous, released, trial, instead_of)
    assert Release.from_bytes(release.to_bytes()) == release


def record(**changes: object) -> bytes:
    """A record's bytes with other fields."""
    return json.dumps({"version": 2, "previous": 1, "released": "2026-01-01T00:00:00+00:00", **changes}).encode()


def test_a_record_from_before_there_were_trials_is_read() -> None:
    """The fields that came later may be absent, and unknown ones that come later still are left out."""
    release = Release.from_bytes(record(colour="green"))
    assert (release.trial, release.instead_of, release.required_versions) == (None, None, (2, 1))


def test_what_must_be_loaded_is_in_order_of_need() -> None:
    """The live version comes first, then the one on trial, then the previous; none of them twice."""
    assert Release.from_bytes(record(trial=CANARY)).required_versions == (2, 3, 1)
    assert Release.from_bytes(record(previous=3, trial=CANARY)).required_versions == (2, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": "3"},
        {"version": 0},
        {"version": 10**400},
        {"share": 0},
        {"share": 1.01},
        {"share": "NaN"},
        {"kind": "bird"},
    ],
)
def test_a_trial_that_cannot_be_is_a_release_error(change: dict[str, object]) -> None:
    """A trial of the live version itself, of no version, without a share or of another kind is refused."""
    with pytest.raises(ReleaseError):
        Release.from_bytes(record(trial=CANARY | change))


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
