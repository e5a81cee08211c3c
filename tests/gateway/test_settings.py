"""What is chosen for one deployment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.decision import Bands
from gateway.settings import Settings

PROBABILITY = st.floats(0, 1)


@given(PROBABILITY | st.none(), PROBABILITY | st.none(), PROBABILITY, PROBABILITY)
def test_overridden_thresholds_stay_in_order(
    review: float | None, decline: float | None, first: float, second: float
) -> None:
    """Any override of either threshold gives valid bands, and the overriding decline threshold is kept."""
    settings = Settings(api_key="k", review_threshold=review, decline_threshold=decline)
    bands = settings.bands(Bands(min(first, second), max(first, second)))
    assert bands.decline == (max(first, second) if decline is None else decline)


def test_keys_are_separated_by_commas() -> None:
    """Several keys are accepted at once, spaces around them ignored."""
    assert Settings(api_key="a, b,,").api_keys == (b"a", b"b")


@pytest.mark.parametrize(
    "changes", [{"api_key": " , "}, {"review_threshold": 1.5}, {"max_upload_bytes": 0}, {"redis_url": "hello"}]
)
def test_refuses_settings_that_cannot_work(changes: dict[str, object]) -> None:
    """A gateway does not start on settings that it could not keep."""
    with pytest.raises(ValidationError):
        Settings(**{"api_key": "k", **changes})  # type: ignore[arg-type] # wrong on purpose


def test_a_password_with_a_slash_is_not_shown() -> None:
    """An address of Redis that cannot be taken apart is refused, and no part of it is repeated."""
    with pytest.raises(ValidationError, match="%2F") as refused:
        Settings(api_key="k", redis_url="redis://:s3cr3t/pw@127.0.0.1:1/0")
    assert "s3cr3t" not in str(refused.value)


def test_the_key_is_not_shown() -> None:
    """Neither the settings nor what is said of bad ones shows the key."""
    assert "hunter2" not in repr(Settings(api_key="hunter2"))
    with pytest.raises(ValidationError) as refused:
        Settings(api_key="hunter2", review_threshold=2)
    assert "hunter2" not in str(refused.value)
