"""The file by which commands find the stack that runs here; `operations.network.endpoints` reads it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict

from operations.files import durable
from operations.settings import ControllerSettings


@contextmanager
def stack_endpoints_file(settings: ControllerSettings, **urls: str) -> Iterator[None]:
    """Holds the addresses and settings of the stack that runs while the block lasts."""
    fields = {
        **urls,
        "thresholds": asdict(settings.thresholds),
        "workers": settings.workers,
        "store": str(settings.paths.store.resolve()),
        "verified": str(settings.paths.verified.resolve()),
    }
    try:
        durable.write(settings.paths.stack, (json.dumps(fields, indent=1) + "\n").encode(), 0o600)
        yield
    finally:
        with suppress(OSError):
            settings.paths.stack.unlink(missing_ok=True)
