"""Whether the default model still lacks the past that it was trained on. Imports nothing slow: a stack asks it."""

from pathlib import Path

from history.keyed_hash import HistoryKey
from operations.history.load import is_loaded
from operations.history.wanted import NoHistory, wanted


def lacking(store: Path, url: str, key: HistoryKey, version: int | None = None) -> bool:
    """Whether a version looks back on history, was trained on the simulator, and has not got that past.

    Args:
        store: the model store.
        url: of Redis.
        key: what ids and entities are hashed with there.
        version: which; None is the live one.

    Raises:
        Interrupted: Redis does not answer.
        OperationsError: what Redis holds is of another key, no version is live, or its archive cannot be read.
    """
    try:
        what = wanted(store, version)
    except NoHistory:
        return False
    return what.simulation is not None and not is_loaded(url, what.plan, str(what.card.data["sha256"]), key)
