"""The release record: the one durable statement of which version serves, and which one is on trial beside it.

`operations.rollout.release` writes it; gateways and the reconciler follow it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

FILE_NAME = "release.json"
"""Its name in the model store."""
LARGEST_VERSION = 999_999_999


class ReleaseError(ValueError):
    """Bytes that are not a release record."""


class TrialKind(StrEnum):
    """How a version is tried on live traffic: a canary answers its share, a shadow is scored beside and never does."""

    CANARY = "canary"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class Trial:
    """A version that is tried on live traffic.

    Attributes:
        share: of the entities that it scores, above 0, at most 1.
        started: when, ISO 8601, UTC.
    """

    kind: TrialKind
    version: int
    share: float
    started: str

    def __post_init__(self) -> None:
        """Refuses a share that is none."""
        if not 0 < self.share <= 1:
            raise ReleaseError("a trial's share is above 0 and at most 1")

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Reads one; fields that are unknown here are left out."""
        return cls(
            TrialKind(fields["kind"]), _number(fields["version"]), float(fields["share"]), str(fields["started"])
        )


@dataclass(frozen=True, slots=True)
class Release:
    """Which version serves.

    Attributes:
        version: the live model version.
        previous: the version that served before it, if any; it stays loaded, to go back to.
        released: when, ISO 8601, UTC.
        trial: the version on trial, if any.
        instead_of: the version that was released but could no longer be loaded, and for which this one stepped in.
    """

    version: int
    previous: int | None
    released: str
    trial: Trial | None = None
    instead_of: int | None = None

    def __post_init__(self) -> None:
        """Refuses a live version that is on trial beside itself."""
        if self.trial and self.trial.version == self.version:
            raise ReleaseError("the live version is on trial beside itself")

    @property
    def required_versions(self) -> tuple[int, ...]:
        """The versions that must be loaded, the most important first."""
        others = (self.trial.version if self.trial else None, self.previous)
        return tuple(dict.fromkeys(number for number in (self.version, *others) if number is not None))

    def to_bytes(self) -> bytes:
        """The record as the file holds it."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads a record; one of an earlier release of this software has no trial.

        Raises:
            ReleaseError: it is not one.
        """
        try:
            return cls._from_json(json.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ReleaseError("not a release record") from error

    @classmethod
    def _from_json(cls, fields: Mapping[str, Any]) -> Self:
        trial, previous, instead_of = fields.get("trial"), fields["previous"], fields.get("instead_of")
        return cls(
            version=_number(fields["version"]),
            previous=None if previous is None else _number(previous),
            released=fields["released"],
            trial=None if trial is None else Trial.from_json(trial),
            instead_of=None if instead_of is None else _number(instead_of),
        )


def _number(value: object) -> int:
    if type(value) is not int or not 1 <= value <= LARGEST_VERSION:
        raise ReleaseError("a version is a whole number from 1")
    return value
