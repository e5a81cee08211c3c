"""The model store: one archive and one entry for each version, and neither ever changes.

    model_store/fraud-<version>.mar    the archive
    model_store/fraud-<version>.sig    its signature, where archives are signed
    model_store/fraud-<version>.json   its entry: hash, size, contract, metrics, origin

The entry is written after the others and makes the version exist; an archive without one is the remains of a crash
and is not looked at. A version is a whole number from 1. Nothing may load an archive that `verify` has not just seen.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from contract.card import ModelCard
from contract.release import FILE_NAME, Release, ReleaseError
from contract.schema import Contract
from operations import durable
from operations.errors import OperationsError
from operations.store.listing import check_listing
from operations.store.signing import Keys

ENTRY = re.compile(r"fraud-([1-9][0-9]{0,8})\.json")
NUMBERED = re.compile(r"fraud-([1-9][0-9]{0,8})\.(?:json|mar|sig)")
PATIENCE = 10.0
"""Seconds that an archive waits to be taken in: a refusal would lose a training."""


class UnknownVersion(OperationsError):
    """The store has no such version."""


class VersionTaken(OperationsError):
    """The store has another version of this number."""


class DamagedArchive(OperationsError):
    """An archive is not the one that was added."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the registry knows of a version.

    Attributes:
        file: the archive's bare name in the store.
        sha256: of the archive.
        size: of the archive, in bytes.
        metrics: the model card's, by period and name.
        data_sha256: of the data that it was trained on.
        created: when it was trained, ISO 8601, UTC.
        inputs: the columns that a transaction must have; none where an earlier release of this software wrote it.
    """

    version: int
    file: str
    sha256: str
    size: int
    contract_fingerprint: str
    metrics: Mapping[str, Mapping[str, float]]
    data_sha256: str
    libraries: Mapping[str, str]
    created: str
    inputs: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """The entry as its file holds it."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads what :meth:`to_bytes` wrote, or what a newer release did: fields that are unknown here are left out.

        Raises:
            ValueError, KeyError, TypeError, RecursionError: it is no entry.
        """
        found: dict[str, Any] = json.loads(data)
        known = {field.name: found[field.name] for field in fields(cls) if field.name in found}
        entry = cls(**known | {"inputs": tuple(found.get("inputs", ()))})
        texts = (entry.file, entry.sha256, entry.contract_fingerprint, entry.data_sha256, entry.created, *entry.inputs)
        tables = (entry.metrics, entry.libraries, *entry.metrics.values())
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(table, dict) for table in tables):
            raise TypeError("a field has another type than an entry's")
        return entry


class Registry:
    """The versions in one model store."""

    def __init__(self, root: Path, keys: Keys | None = None) -> None:
        """Takes the store's directory, which need not exist yet; without keys, those of the environment."""
        self.root = root
        self.keys = keys or Keys.of(os.environ)

    def entries(self) -> list[Entry]:
        """All versions whose entries can be read, oldest first."""
        return [entry for version in self._numbers(ENTRY) if (entry := self._readable(version))]

    def damaged(self) -> list[int]:
        """The versions whose entries cannot be read, oldest first."""
        return [version for version in self._numbers(ENTRY) if not self._readable(version)]

    def newest(self) -> int:
        """The newest version.

        Raises:
            UnknownVersion: there is none.
        """
        if not (entries := self.entries()):
            raise UnknownVersion(f"no versions in {self.root}; `fraud train` makes one")
        return entries[-1].version

    def next_version(self) -> int:
        """The number that the next model gets: one that no file has, damaged or not, and that was never released."""
        return max([*self._numbers(NUMBERED), *self._released()], default=0) + 1

    def _numbers(self, names: re.Pattern[str]) -> list[int]:
        matches = [match for path in self.root.glob("fraud-*") if (match := names.fullmatch(path.name))]
        return sorted({int(match[1]) for match in matches})

    def _readable(self, version: int) -> Entry | None:
        with contextlib.suppress(UnknownVersion, DamagedArchive):
            return self.entry(version)
        return None

    def _released(self) -> list[int]:
        with contextlib.suppress(OSError, ReleaseError):
            record = Release.from_bytes((self.root / FILE_NAME).read_bytes())
            return [*record.wanted, record.instead_of or 0]
        return []

    def entry(self, version: int) -> Entry:
        """The entry of a version.

        Raises:
            UnknownVersion: there is none.
            DamagedArchive: its file cannot be read.
        """
        path = self.root / f"fraud-{version}.json"
        try:
            entry = Entry.from_bytes(path.read_bytes())
        except FileNotFoundError:
            raise UnknownVersion(f"no version {version} in {self.root}; see `fraud models`") from None
        except OSError as error:
            raise DamagedArchive(f"{path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise DamagedArchive(f"{path} is damaged; put it back from a backup") from None
        if (entry.version, entry.file) != (version, f"fraud-{version}.mar"):
            raise DamagedArchive(f"{path} is not the entry of version {version}; put it back from a backup")
        return entry

    def add(self, archive: Path, card: ModelCard, contract: Contract) -> Entry:
        """Takes a copy of an archive in as the version that its card names.

        Raises:
            RefusedArchive: it is not an archive as training builds them.
            VersionTaken: the version exists.
            OperationsError: it cannot be signed, or another process adds one and does not end.
        """
        check_listing(archive)
        signature = self.keys.sign(archive) if self.keys.private else None
        self.root.mkdir(parents=True, exist_ok=True)
        with self._alone():
            place = self.root / f"fraud-{card.version}.json"
            if place.exists():
                raise VersionTaken(f"version {card.version} exists in {self.root} already; train again")
            entry = _entry(archive, card, contract)
            durable.copy(archive, self.root / entry.file)
            if signature:
                durable.write(self.signature(card.version), signature)
            durable.write(place, entry.to_bytes())
        return entry

    def signature(self, version: int) -> Path:
        """The file that a signature of this version has, or would have."""
        return self.root / f"fraud-{version}.sig"

    def sign(self, version: int) -> Path:
        """Signs a version that has no signature yet; says where it is.

        Raises:
            UnknownVersion, DamagedArchive, RefusedArchive: as `verify`.
            OperationsError: it has one, or there is no key to sign with.
        """
        archive, place = self._sound(version), self.signature(version)
        signature = self.keys.sign(archive)
        with self._alone():
            if place.exists():
                raise OperationsError(f"{place} exists and is never replaced; delete it to sign with another key")
            durable.write(place, signature)
        return place

    def verify(self, version: int) -> Path:
        """The archive of a version, after its hash was found to be the entry's, and its files fit to be unpacked.

        Raises:
            UnknownVersion: there is no such version.
            DamagedArchive: the file is missing or is another one.
            RefusedArchive: it is the one that was registered, but not as training builds them.
            UnsignedArchive: it lacks a valid signature, and a key is set that demands one.
        """
        path = self._sound(version)
        self.keys.verify(path, self.signature(version))
        return path

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        refusal = f"another process adds a model to {self.root}; try again"
        return durable.held(self.root / ".lock", refusal, PATIENCE)

    def _sound(self, version: int) -> Path:
        """The archive of a version, signed or not."""
        entry = self.entry(version)
        path = self.root / entry.file
        try:
            same = path.stat().st_size == entry.size and _sha256(path) == entry.sha256
        except OSError:
            raise DamagedArchive(f"{path} cannot be read; put it back from a backup or release another") from None
        if not same:
            raise DamagedArchive(
                f"{path} is not the archive that was registered (its SHA-256 differs); "
                "put it back from a backup or release another version"
            )
        check_listing(path)
        return path


def _entry(archive: Path, card: ModelCard, contract: Contract) -> Entry:
    return Entry(
        version=card.version,
        file=f"fraud-{card.version}.mar",
        sha256=_sha256(archive),
        size=archive.stat().st_size,
        contract_fingerprint=contract.fingerprint,
        metrics=card.metrics,
        data_sha256=str(card.data["sha256"]),
        libraries=card.libraries,
        created=card.created,
        inputs=contract.input_names,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
