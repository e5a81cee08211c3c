"""How a command finds the running model server: MANAGEMENT_URL and INFERENCE_URL, or else var/run/stack.json."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from operations.errors import OperationsError
from operations.settings import DEFAULT_WORKERS, Layout
from operations.torchserve import ModelServer


@dataclass(frozen=True, slots=True)
class Running:
    """A model server that runs.

    Attributes:
        workers: how many each of its versions gets.
        gateway_url: the gateway beside it; None where the environment, not a local stack, names the server.
    """

    server: ModelServer
    workers: int
    gateway_url: str | None


def find(layout: Layout, outside: Mapping[str, str]) -> Running:
    """The model server to talk to.

    Raises:
        OperationsError: no stack runs here, and the environment names none.
    """
    fields = _written(layout)
    management = outside.get("MANAGEMENT_URL") or fields.get("management_url")
    inference = outside.get("INFERENCE_URL") or fields.get("inference_url")
    if not management or not inference:
        raise OperationsError("nothing runs here: start `fraud up`, or set MANAGEMENT_URL and INFERENCE_URL")
    workers = int(str(outside.get("MODEL_WORKERS") or fields.get("workers") or DEFAULT_WORKERS))
    gateway = fields.get("gateway_url")
    return Running(ModelServer(str(management), str(inference)), workers, str(gateway) if gateway else None)


def _written(layout: Layout) -> Mapping[str, object]:
    try:
        fields: dict[str, object] = json.loads(layout.stack.read_bytes())
    except (OSError, ValueError):
        return {}
    return fields
