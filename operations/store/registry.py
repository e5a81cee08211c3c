"""The model store: one archive and one entry for each version, and neither ever changes.

    model_store/fraud-<version>.mar    the archive
    model_store/fraud-<version>.sig    its signature, where archives are signed
    model_store/fraud-<version>.json   its entry: hash, size, contract, metrics, origin

The entry is written after the others and makes the version exist; an archive without one is the remains of a crash
and is not looked at. A version is a whole number from 1.

Others may write into the store: who trains on foreign data does. So an archive is never checked in its place and then
opened by its name once more. Its bytes are copied once, the copy is verified where only this process writes, and the
copy is what is loaded, read or signed.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from contract.model_card import ModelCard
from contract.schema import Contract
from operations.errors import OperationsError
from operations.files import durable, plain_file
from operations.store import archive_copies
from operations.store.archive_check import MAX_BYTES, check_archive
from operations.store.release_record import read_record
from operations.store.signing import SigningKeys

ENTRY = re.compile(r"fraud-([1-9][0-9]{0,8})\.json")
NUMBERED = re.compile(r"fraud-([1-9][0-9]{0,8})\.(?:json|mar|sig)")
LOCK_TIMEOUT = 10.0
"""Seconds that an archive waits to be taken in: a refusal would lose a training."""
MAX_ENTRY_BYTES = 1 << 20
"""Largest entry that is read; one has some kilobytes."""
MAX_ARCHIVE_BYTES = MAX_BYTES + (16 << 20)
"""Largest archive that is copied: what it may unpack to, and room for its headers."""


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
        size: of the archive, in bytes.
        metrics: the model card's, by period and name.
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
        if type(entry.size) is not int or entry.size < 0:
            raise TypeError("a size is no number of bytes")
        return entry


@dataclass(frozen=True, slots=True)
class VerifiedArchive:
    """A version whose archive was verified.

    Attributes:
        archive: the copy that was verified; it lies where nobody writes but this user, and goes with its block.
    """

    entry: Entry
    archive: Path


class Registry:
    """The versions in one model store."""

    def __init__(self, root: Path, keys: SigningKeys | None = None) -> None:
        """Takes the store's directory, which need not exist yet; without keys, those of the environment."""
        self.root = root
        self.keys = keys or SigningKeys.of(os.environ)

    def entries(self) -> list[Entry]:
        """All versions whose entries can be read, oldest first."""
        return [entry for version in self._numbers(ENTRY) if (entry := self._entry_or_none(version))]

    def damaged(self) -> list[int]:
        """The versions whose entries cannot be read, oldest first."""
        return [version for version in self._numbers(ENTRY) if not self._entry_or_none(version)]

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

    def _entry_or_none(self, version: int) -> Entry | None:
        with contextlib.suppress(UnknownVersion, DamagedArchive):
            return self.entry(version)
        return None

    def _released(self) -> list[int]:
        with contextlib.suppress(OperationsError):
            if record := read_record(self.root):
                return [*record.required_versions, record.instead_of or 0]
        return []

    def entry(self, version: int) -> Entry:
        """The entry of a version.

        Raises:
            UnknownVersion: there is none.
            DamagedArchive: its file cannot be read.
        """
        path = self.root / f"fraud-{version}.json"
        try:
            entry = Entry.from_bytes(plain_file.read(path, MAX_ENTRY_BYTES))
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
        with archive_copies.private_directory() as scratch:
            copy = scratch / archive.name
            sha256 = archive_copies.copy(archive, copy, MAX_ARCHIVE_BYTES)
            check_archive(copy)
            signature = self.keys.sign(copy) if self.keys.private else None
            self.root.mkdir(parents=True, exist_ok=True)
            with self._add_lock():
                if (self.root / f"fraud-{card.version}.json").exists():
                    raise VersionTaken(f"version {card.version} exists in {self.root} already; train again")
                entry = _entry(copy, sha256, card, contract)
                self._write_version(copy, entry, signature)
        return entry

    def _write_version(self, archive: Path, entry: Entry, signature: bytes | None) -> None:
        """Writes a version's files, its entry the last."""
        durable.copy(archive, self.root / entry.file)
        if signature:
            durable.write(self.signature(entry.version), signature)
        durable.write(self.root / f"fraud-{entry.version}.json", entry.to_bytes())

    def signature(self, version: int) -> Path:
        """The file that a signature of this version has, or would have."""
        return self.root / f"fraud-{version}.sig"

    def sign(self, version: int) -> Path:
        """Signs a version that has no signature yet; says where it is.

        Raises:
            UnknownVersion, DamagedArchive, RefusedArchive: as :meth:`verified`.
            OperationsError: it has one, or there is no key to sign with.
        """
        with archive_copies.private_directory() as scratch:
            signature, place = self.keys.sign(self._checked_copy(version, scratch).archive), self.signature(version)
        with self._add_lock():
            if place.exists():
                raise OperationsError(f"{place} exists and is never replaced; delete it to sign with another key")
            durable.write(place, signature)
        return place

    def verify(self, version: int) -> None:
        """Finds out whether an archive is sound now; what is to be loaded or read is what :meth:`verified` gives.

        Raises:
            OperationsError: as :meth:`verified`.
        """
        with self.verified(version):
            pass

    @contextlib.contextmanager
    def verified(self, version: int, directory: Path | None = None) -> Iterator[VerifiedArchive]:
        """A version whose archive has its entry's hash, files that are fit to be unpacked, and a valid signature.

        All of this is true of the copy, whatever becomes of the files in the store. It lies in a new directory in the
        one that is given, or among the temporary files.

        Raises:
            UnknownVersion: there is no such version.
            DamagedArchive: the file is missing or is another one.
            RefusedArchive: it is the one that was registered, but not as training builds them.
            UnsignedArchive: it lacks a valid signature, and a key is set that demands one.
            OperationsError: there is no room for a copy.
        """
        with archive_copies.private_directory(directory) as scratch:
            found = self._checked_copy(version, scratch)
            self.keys.verify(found.archive, self.signature(version))
            yield found

    def _add_lock(self) -> contextlib.AbstractContextManager[None]:
        refusal = f"another process adds a model to {self.root}; try again"
        return durable.locked(self.root / ".lock", refusal, LOCK_TIMEOUT)

    def _checked_copy(self, version: int, scratch: Path) -> VerifiedArchive:
        """A version and a copy of its archive, signed or not."""
        entry = self.entry(version)
        path, copy = self.root / entry.file, scratch / entry.file
        try:
            sha256 = archive_copies.copy(path, copy, min(entry.size, MAX_ARCHIVE_BYTES) + 1)
        except archive_copies.SourceUnreadable:
            raise DamagedArchive(f"{path} cannot be read; put it back from a backup or release another") from None
        if sha256 != entry.sha256:
            raise DamagedArchive(
                f"{path} is not the archive that was registered (its SHA-256 differs); "
                "put it back from a backup or release another version"
            )
        check_archive(copy)
        return VerifiedArchive(entry, copy)


def _entry(archive: Path, sha256: str, card: ModelCard, contract: Contract) -> Entry:
    return Entry(
        version=card.version,
        file=f"fraud-{card.version}.mar",
        sha256=sha256,
        size=archive.stat().st_size,
        contract_fingerprint=contract.fingerprint,
        metrics=card.metrics,
        data_sha256=str(card.data["sha256"]),
        libraries=card.libraries,
        created=card.created,
        inputs=contract.input_names,
    )
