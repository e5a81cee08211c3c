"""Writes the file by which commands find the stack that runs here; `operations.network.endpoints` reads it."""

import json
from dataclasses import asdict

from operations.files import durable
from operations.settings import ControllerSettings


def write_stack_endpoints(settings: ControllerSettings, **urls: str) -> None:
    """Writes the addresses and settings of the stack that starts here, for the commands that talk to it."""
    fields = {
        **urls,
        "thresholds": asdict(settings.thresholds),
        "workers": settings.workers,
        "store": str(settings.paths.store.resolve()),
        "verified": str(settings.paths.verified.resolve()),
    }
    durable.write(settings.paths.stack, (json.dumps(fields, indent=1) + "\n").encode(), 0o600)
