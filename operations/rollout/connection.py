"""How a command finds the running model server: MANAGEMENT_URL and INFERENCE_URL, or else var/run/stack.json."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.decision import CARDS_OWN, Thresholds
from operations.errors import OperationsError
from operations.rollout.loading import Place
from operations.settings import DEFAULT_WORKERS, Layout, model_workers, thresholds
from operations.store.registry import Registry
from operations.torchserve.client import ModelServer


@dataclass(frozen=True, slots=True)
class Running:
    """A model server that runs.

    Attributes:
        workers: how many each of its versions gets.
        store: the model store that it loads from: it is told the bare names of archives, so no other may be verified.
        gateway_url: the gateway beside it; None where the environment, not a local stack, names the server.
        redis_url: where gateways count what a trial does; None where there is none.
        thresholds: what overrides the models' own decision thresholds in its gateway.
    """

    server: ModelServer
    workers: int
    store: Path
    gateway_url: str | None
    redis_url: str | None
    thresholds: Thresholds = CARDS_OWN

    @property
    def place(self) -> Place:
        """Where to release to."""
        return Place(Registry(self.store), self.server, self.workers, self.redis_url, thresholds=self.thresholds)


def find(layout: Layout, outside: Mapping[str, str]) -> Running:
    """The model server to talk to.

    Raises:
        OperationsError: no stack runs here, and the environment names none; or MODEL_PATH is not the stack's.
    """
    fields = _written(layout)
    management = outside.get("MANAGEMENT_URL") or fields.get("management_url")
    inference = outside.get("INFERENCE_URL") or fields.get("inference_url")
    if not management or not inference:
        raise OperationsError("nothing runs here: start `fraud up`, or set MANAGEMENT_URL and INFERENCE_URL")
    workers = int(str(fields.get("workers") or DEFAULT_WORKERS))
    gateway, redis = fields.get("gateway_url"), outside.get("REDIS_URL") or fields.get("redis_url")
    return Running(
        server=ModelServer(str(management), str(inference)),
        workers=model_workers(outside) if outside.get("MODEL_WORKERS") else workers,
        store=_store(layout, outside, fields.get("store")),
        gateway_url=str(gateway) if gateway else None,
        redis_url=str(redis) if redis else None,
        thresholds=_thresholds(fields, outside),
    )


def _thresholds(fields: Mapping[str, object], outside: Mapping[str, str]) -> Thresholds:
    """The running stack's, whatever this shell has; where there is none, this shell's."""
    found = fields.get("thresholds")
    return Thresholds(**found) if isinstance(found, dict) and found else thresholds(outside)


def _store(layout: Layout, outside: Mapping[str, str], running: object) -> Path:
    """The running stack's store where there is one; MODEL_PATH may repeat it, but not name another."""
    if outside.get("MANAGEMENT_URL") or not running:
        return layout.store
    store = Path(str(running))
    if outside.get("MODEL_PATH") and layout.store.resolve() != store.resolve():
        raise OperationsError(f"the stack that runs here loads from {store}; MODEL_PATH names {layout.store}: unset it")
    return store


def _written(layout: Layout) -> Mapping[str, object]:
    try:
        fields = json.loads(layout.stack.read_bytes())
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}
