"""What is chosen for one deployment."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import HttpUrl, ValidationError

from contract.decision import DecisionBands
from gateway.settings import GatewaySettings
from tests.keys import HISTORY_KEY, KEY

PROBABILITY = st.floats(0, 1)


@given(PROBABILITY | st.none(), PROBABILITY | st.none(), PROBABILITY, PROBABILITY)
def test_overridden_thresholds_stay_in_order(
    review: float | None, decline: float | None, first: float, second: float
) -> None:
    """Any override of either threshold gives valid bands, and the overriding decline threshold is kept."""
    settings = GatewaySettings(api_key="k", review_threshold=review, decline_threshold=decline)
    bands = settings.bands(DecisionBands(min(first, second), max(first, second)))
    assert bands.decline == (max(first, second) if decline is None else decline)


def test_keys_are_separated_by_commas() -> None:
    """Several keys are accepted at once, spaces around them ignored."""
    assert GatewaySettings(api_key="a, b,,").api_keys == (b"a", b"b")


@pytest.mark.parametrize(
    "changes", [{"api_key": " , "}, {"review_threshold": 1.5}, {"max_upload_bytes": 0}, {"redis_url": "hello"}]
)
def test_refuses_settings_that_cannot_work(changes: dict[str, object]) -> None:
    """A gateway does not start on settings that it could not keep."""
    with pytest.raises(ValidationError):
        GatewaySettings(**{"api_key": "k", **changes})  # type: ignore[arg-type] # wrong on purpose


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_the_memory_holds_the_largest_body(upload: int, batch: int) -> None:
    """What a refusal says is needed is enough, and a byte less is not."""
    limits = {"max_upload_bytes": upload, "max_batch_bytes": batch}
    with pytest.raises(ValidationError) as refused:
        GatewaySettings(api_key="k", memory_bytes=1, **limits)  # type: ignore[arg-type] # by their names
    needed = int(re.findall(r"MEMORY_BYTES is under (\d+)", str(refused.value))[0])
    assert GatewaySettings(api_key="k", memory_bytes=needed, **limits).scoring_bytes >= max(upload, batch)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="which the largest body needs"):
        GatewaySettings(api_key="k", memory_bytes=needed - 1, **limits)  # type: ignore[arg-type]


def test_a_password_with_a_slash_is_not_shown() -> None:
    """An address of Redis that cannot be taken apart is refused, and no part of it is repeated."""
    with pytest.raises(ValidationError, match="%2F") as refused:
        GatewaySettings(api_key="k", redis_url="redis://:s3cr3t/pw@127.0.0.1:1/0")
    assert "s3cr3t" not in str(refused.value)


def test_the_key_is_not_shown() -> None:
    """Neither the settings nor what is said of bad ones shows the key."""
    assert "hunter2" not in repr(GatewaySettings(api_key="hunter2"))
    with pytest.raises(ValidationError) as refused:
        GatewaySettings(api_key="hunter2", review_threshold=2)
    assert "hunter2" not in str(refused.value)


def test_a_record_is_a_file_or_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has a scheme is an address, anything else a path; unset it is in the model store beside it."""
    monkeypatch.delenv("RELEASE_RECORD", raising=False)
    assert GatewaySettings(api_key="k").release_record == Path("model_store/release.json")
    for text in ("/srv/release.json", "release.json"):
        monkeypatch.setenv("RELEASE_RECORD", text)
        assert GatewaySettings(api_key="k").release_record == Path(text)
    for text in ("http://keeper:8070/release.json", "https://[::1]/release.json"):
        monkeypatch.setenv("RELEASE_RECORD", text)
        assert GatewaySettings(api_key="k").release_record == HttpUrl(text)


@pytest.mark.parametrize("text", ["ftp://keeper/s3cr3t", "http://", "http://u:s3cr3t@keeper/release.json"])
def test_an_address_that_cannot_work_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another scheme, no host, or a password that nothing would use: refused, and not repeated."""
    monkeypatch.setenv("RELEASE_RECORD", text)
    with pytest.raises(ValidationError) as refused:
        GatewaySettings(api_key="k")
    assert "s3cr3t" not in str(refused.value)


def test_a_secret_may_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """API_KEY_FILE and REDIS_URL_FILE stand for the variables; an argument is above both."""
    texts = {"API_KEY": "k-1,k-2\n", "REDIS_URL": "redis://r/0\n", "HISTORY_KEY": f"{HISTORY_KEY}\n", "ALERT_URL": "x"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    settings = GatewaySettings()
    assert (settings.api_keys, settings.redis_url) == ((b"k-1", b"k-2"), "redis://r/0")
    assert settings.key.check == KEY.check
    assert GatewaySettings(api_key="k-3").api_keys == (b"k-3",)


@pytest.mark.parametrize("given", [{}, {"HISTORY_KEY": ""}, {"HISTORY_KEY": "s3cr3t"}, {"HISTORY_KEY": f"{'x' * 40},"}])
def test_redis_needs_a_key_that_cannot_be_guessed(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    """Without one ids would lie there as hashes that anybody can make; none of it is repeated."""
    monkeypatch.setenv("REDIS_URL", "redis://r/0")
    for name, text in given.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(ValidationError) as refused:
        GatewaySettings(api_key="k")
    (fault,) = refused.value.errors(include_input=False, include_context=False)
    assert fault["loc"] == ("history_key",)
    assert not [text for text in ("s3cr3t", "x" * 40) if text in str(refused.value)]


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As compose hands on what nobody set."""
    for name in ("REDIS_URL", "REVIEW_THRESHOLD", "PORT", "RELEASE_RECORD", "API_KEY_FILE"):
        monkeypatch.setenv(name, "")
    settings = GatewaySettings(api_key="k")
    assert (settings.redis_url, settings.review_threshold, settings.port) == (None, None, 8000)
