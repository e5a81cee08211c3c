"""Which version's history is loaded, and into which Redis."""

from pathlib import Path
from typing import Any

import pytest

from operations.errors import OperationsError
from operations.history.load import LoadProgress, lacks_simulated_past, progress_key
from operations.history.redis_access import Interrupted
from operations.history.version_history import NoHistory, VersionHistory
from operations.store.registry import Registry
from tests import tiny
from tests.keys import KEY
from tests.operations.history.pasts import CARDS, LATER, add, make_live, plan_of, redis

SIMULATED: dict[str, Any] = {"source": {"simulator": {"seed": 1}}, "sha256": "a" * 64}
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Versions 1, 2 with other windows, and 3 without any; none is live."""
    registry = Registry(tmp_path / "model_store")
    for version, of in ((1, CARDS), (2, LATER), (3, tiny.CONTRACT)):
        add(registry, version, of)
    return registry


def test_the_live_version_is_meant_where_none_is_named(registry: Registry) -> None:
    """Its own windows are loaded, and nothing else."""
    make_live(registry, 1)
    what = VersionHistory.of(registry.root, None)
    assert (what.version, what.plan) == (1, plan_of(CARDS))


def test_for_another_version_the_plan_has_the_live_one_too(registry: Registry) -> None:
    """What is new to both is counted for both, as live traffic would be."""
    make_live(registry, 1)
    assert VersionHistory.of(registry.root, 2).plan == plan_of(LATER, CARDS)


def test_nothing_is_guessed(registry: Registry) -> None:
    """Where no version is live one must be named."""
    with pytest.raises(OperationsError, match="--version"):
        VersionHistory.of(registry.root, None)


def test_a_version_without_history_needs_none(registry: Registry) -> None:
    """That is said."""
    with pytest.raises(NoHistory, match="version 3 has no history features"):
        VersionHistory.of(registry.root, 3)


def test_the_default_model_lacks_its_past_until_it_is_loaded(tmp_path: Path) -> None:
    """Redis' own mark of the loaded file decides."""
    registry = Registry(tmp_path / "model_store")
    add(registry, 1, CARDS, data=SIMULATED)
    make_live(registry, 1)
    with redis(tmp_path / "valkey") as (valkey, client):
        assert lacks_simulated_past(registry.root, valkey.url, KEY)
        key = progress_key(SIMULATED["sha256"], plan_of(CARDS), KEY)
        client.set(key, LoadProgress(key, 0.0, 1, 2).to_bytes())
        assert lacks_simulated_past(registry.root, valkey.url, KEY)
        client.set(key, LoadProgress(key, 0.0, 2, 2).to_bytes())
        assert not lacks_simulated_past(registry.root, valkey.url, KEY)


@pytest.mark.parametrize(("version", "data"), [(1, {"source": "payments.csv", "sha256": "a" * 64}), (3, SIMULATED)])
def test_other_models_lack_nothing(tmp_path: Path, version: int, data: dict[str, Any]) -> None:
    """One of a person's own data, or without history: Redis is not even asked."""
    registry = Registry(tmp_path / "model_store")
    add(registry, version, CARDS if version == 1 else tiny.CONTRACT, data=data)
    make_live(registry, version)
    assert not lacks_simulated_past(registry.root, NOWHERE, KEY)


def test_a_redis_that_is_away_is_reported(tmp_path: Path) -> None:
    """Whoever asks may ask again."""
    registry = Registry(tmp_path / "model_store")
    add(registry, 1, CARDS, data=SIMULATED)
    make_live(registry, 1)
    with pytest.raises(Interrupted, match="Redis does not answer"):
        lacks_simulated_past(registry.root, NOWHERE, KEY)
