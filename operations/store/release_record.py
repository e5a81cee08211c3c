"""The release record as it stands in a model store; `operations.rollout.release` alone writes it."""

from pathlib import Path

from operations.errors import OperationsError
from operations.files import plain_file
from releases.record import FILE_NAME, Release, ReleaseError

MAX_BYTES = 65_536
"""Largest record that is read; one has some hundred bytes."""


def read_record(store: Path) -> Release | None:
    """The release record of a model store; None before the first release.

    Raises:
        OperationsError: it cannot be read.
    """
    path = store / FILE_NAME
    try:
        return Release.from_bytes(plain_file.read(path, MAX_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OperationsError(f"{path} cannot be read: {error.strerror}") from None
    except ReleaseError:
        raise OperationsError(f"{path} is damaged; put it back from a backup, or delete it and release again") from None
