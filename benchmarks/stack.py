"""The stack that runs in this directory, for what is measured on it."""

import os
from pathlib import Path

from operations.errors import OperationsError
from operations.rollout import deployment
from operations.rollout.deployment import DeploymentTarget
from operations.settings import StatePaths
from operations.store.release_record import read_record
from releases.record import Release

EXAMPLE = Path(__file__).parents[1] / "examples" / "transactions.csv"


def running_stack() -> tuple[DeploymentTarget, str, Release]:
    """What runs, its gateway's address, and the release record.

    Raises:
        OperationsError: no gateway with a live version runs here.
    """
    running = deployment.find_target(StatePaths(Path.cwd(), Path.cwd() / "model_store"), os.environ)
    live = read_record(running.store)
    if live is None or running.gateway_url is None:
        raise OperationsError("no gateway with a live version runs here: start `fraud up`")
    return running, running.gateway_url, live


def example(rows: int) -> bytes:
    """A CSV file of the first rows of examples/transactions.csv."""
    return b"".join(EXAMPLE.read_bytes().splitlines(keepends=True)[: rows + 1])
