"""Where Redis is: one answer for all commands."""

import json
from pathlib import Path

import pytest

from operations.errors import OperationsError
from operations.network.endpoints import find_redis_url, require_redis_url, stack_endpoints
from operations.settings import StatePaths


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    """A checkout in which a stack runs."""
    paths = StatePaths(tmp_path, tmp_path / "model_store")
    paths.prepare()
    paths.stack.write_text(json.dumps({"redis_url": "redis://stack/0"}))
    return paths


def test_the_environment_comes_before_the_stack(paths: StatePaths) -> None:
    """REDIS_URL where it is set, else what the stack wrote."""
    assert find_redis_url(paths, {}) == "redis://stack/0"
    assert find_redis_url(paths, {"REDIS_URL": "redis://named/0"}) == "redis://named/0"


def test_the_stack_here_is_not_the_system_elsewhere(paths: StatePaths) -> None:
    """Where MANAGEMENT_URL names another system, only REDIS_URL says where its Redis is."""
    env = {"MANAGEMENT_URL": "http://elsewhere:8081"}
    assert find_redis_url(paths, env) is None
    assert stack_endpoints(paths, env) == {}
    assert find_redis_url(paths, env | {"REDIS_URL": "redis://named/0"}) == "redis://named/0"


@pytest.mark.parametrize("written", ["", "[]", "{}", "no JSON"])
def test_a_stack_that_says_nothing_is_none(written: str, paths: StatePaths) -> None:
    """It is said what to do where Redis is needed, and only there."""
    paths.stack.write_text(written)
    assert find_redis_url(paths, {}) is None
    with pytest.raises(OperationsError, match="set REDIS_URL"):
        require_redis_url(paths, {})


def test_what_is_no_address_is_refused_without_repeating_it(paths: StatePaths) -> None:
    """By all commands alike, also where the stack would have one; it may hold a password."""
    for find in (find_redis_url, require_redis_url):
        with pytest.raises(OperationsError, match="REDIS_URL is no redis://") as caught:
            find(paths, {"REDIS_URL": "http://:secret@host"})
        assert "secret" not in str(caught.value)
