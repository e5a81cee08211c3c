"""The past that the default model was trained on: the simulator's transactions, made once more."""

from operations.errors import OperationsError
from operations.history.wanted import VersionHistory
from training.data import csv_bytes
from training.errors import TrainingError
from training.simulator import Simulation, simulate


def transactions(wanted: VersionHistory) -> bytes:
    """They as a CSV file.

    Raises:
        OperationsError: the version was trained on other data, or by a simulator of another release.
    """
    if wanted.simulation is None:
        raise OperationsError(f"version {wanted.version} was not trained on the simulator: give a file")
    try:
        return csv_bytes(simulate(Simulation(**wanted.simulation)))
    except (TypeError, TrainingError):
        raise OperationsError(f"version {wanted.version} was trained by a simulator of another release") from None
