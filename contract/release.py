"""The release record: the one durable statement of which version serves. Only the release command writes it."""

import json
from dataclasses import asdict, dataclass
from types import NoneType
from typing import Self

FILE_NAME = "release.json"
"""Its name in the model store."""


class ReleaseError(ValueError):
    """Bytes that are not a release record."""


@dataclass(frozen=True, slots=True)
class Release:
    """Which version serves.

    Attributes:
        version: the live model version.
        previous: the version that served before it, if any.
        released: when, ISO 8601, UTC.
    """

    version: int
    previous: int | None
    released: str

    def to_bytes(self) -> bytes:
        """The record as the file holds it."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads a record.

        Raises:
            ReleaseError: it is not one.
        """
        try:
            fields = json.loads(data)
            record = cls(fields["version"], fields["previous"], fields["released"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ReleaseError("not a release record") from error
        if not (type(record.version) is int and type(record.previous) in (int, NoneType)):
            raise ReleaseError("not a release record: a version is a whole number")
        return record
