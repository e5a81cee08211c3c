"""Where Redis is: one answer for all commands."""

import json
from pathlib import Path

import pytest

from operations.errors import OperationsError
from operations.network.running import addresses, needed_redis, redis_of
from operations.settings import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A checkout in which a stack runs."""
    layout = Layout(tmp_path, tmp_path / "model_store")
    layout.prepare()
    layout.stack.write_text(json.dumps({"redis_url": "redis://stack/0"}))
    return layout


def test_the_environment_comes_before_the_stack(layout: Layout) -> None:
    """REDIS_URL where it is set, else what the stack wrote."""
    assert redis_of(layout, {}) == "redis://stack/0"
    assert redis_of(layout, {"REDIS_URL": "redis://named/0"}) == "redis://named/0"


def test_the_stack_here_is_not_the_system_elsewhere(layout: Layout) -> None:
    """Where MANAGEMENT_URL names another system, only REDIS_URL says where its Redis is."""
    outside = {"MANAGEMENT_URL": "http://elsewhere:8081"}
    assert redis_of(layout, outside) is None
    assert addresses(layout, outside) == {}
    assert redis_of(layout, outside | {"REDIS_URL": "redis://named/0"}) == "redis://named/0"


@pytest.mark.parametrize("written", ["", "[]", "{}", "no JSON"])
def test_a_stack_that_says_nothing_is_none(written: str, layout: Layout) -> None:
    """It is said what to do where Redis is needed, and only there."""
    layout.stack.write_text(written)
    assert redis_of(layout, {}) is None
    with pytest.raises(OperationsError, match="set REDIS_URL"):
        needed_redis(layout, {})


def test_what_is_no_address_is_refused_without_repeating_it(layout: Layout) -> None:
    """By all commands alike, also where the stack would have one; it may hold a password."""
    for find in (redis_of, needed_redis):
        with pytest.raises(OperationsError, match="REDIS_URL is no redis://") as caught:
            find(layout, {"REDIS_URL": "http://:secret@host"})
        assert "secret" not in str(caught.value)
