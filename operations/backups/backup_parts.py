"""What a backup holds, in parts; whatever durable state comes later joins by one more entry in PARTS.

A part lists its files in the order in which they may come back: at each moment of a restore, what is there already
must be sound. An archive without its entry is no version, and a version without the release record is not live.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from operations.errors import OperationsError
from operations.files import plain_file
from operations.settings import StatePaths
from operations.store import journal
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.store.signing import SIGNING_KEY, VERIFY_KEY
from releases.record import FILE_NAME

SETTINGS = (
    *("MODEL_PATH", "MODEL_WORKERS", "HALF_PRECISION", "CUDA_VISIBLE_DEVICES", "HOST", "PORT", "MODEL_NAME"),
    *("MODEL_SERVER_URL", "RELEASE_RECORD", "LOG_STREAM", "LOG_FILE", "MAX_UPLOAD_BYTES", "MAX_BATCH_BYTES"),
    *("MAX_BATCH_FILES", "MAX_TRANSACTIONS", "MEMORY_BYTES", "UPLOAD_SLOTS", "SLOT_SECONDS"),
    *("READ_SECONDS", "STALL_SECONDS", "LEAST_RATE", "DEADLINE_SECONDS", "BLOCK_ROWS"),
    *("MODEL_SERVER_CONNECTIONS", "FOLLOW_SECONDS", "REVIEW_THRESHOLD", "DECLINE_THRESHOLD", "BASE_MODEL"),
    *("DRAIN_DELAY_SECONDS", "TRAINING_DATA", "TRAINING_SCHEMA", "RETRAIN_RELEASE", "BACKUP_TO", "BACKUP_KEEP"),
    *("RETRAIN_MARGIN", "RETRAIN_SHARE", "CLEAN_DAYS", "SCHEDULE", "KEEPER_HOST", "KEEPER_PORT"),
    "RETRAIN_GENUINE_AFTER",
    *("GATEWAY_URL", "MANAGEMENT_URL", "INFERENCE_URL", "KNOWN_DAYS", "VALUES_HOURS", "HISTORY"),
    *("HISTORY_TIMEOUT_SECONDS", "VERIFIED_PATH"),
    *(SIGNING_KEY, VERIFY_KEY),
)
"""The settings whose values may lie in a backup; a new one that is no secret is added here. Keys are named by file."""
SECRETS = ("API_KEY", "REDIS_URL", "HISTORY_KEY", "ALERT_URL")
"""The settings of which a backup says only whether they were set."""
SETTINGS_FILE = "settings.json"
MAX_BYTES = 16 << 20
"""Largest file that a backup reads at once; all but archives are smaller by far."""


@dataclass(frozen=True, slots=True)
class BackupSource:
    """One deployment, from which a backup is taken.

    Attributes:
        env: the environment.
    """

    paths: StatePaths
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a part.

    Attributes:
        content: the bytes of what may change or is no file; the path of what never changes.
        sha256: what it must be, where that is known.
    """

    name: str
    content: Path | bytes
    sha256: str | None = None


class BackupPart(Protocol):
    """A kind of durable state."""

    @property
    def name(self) -> str:
        """Its directory in a backup."""

    def files(self, state: BackupSource) -> list[SourceFile]:
        """Its files; called under the store's locks, so that all parts are of one moment, and therefore quick."""

    def accepts(self, file: str) -> bool:
        """Whether a backup may hold a file of this name in this part."""

    def destination(self, paths: StatePaths) -> Path:
        """The directory that its files are put back into."""


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """The settings that are no secrets: for a person to set again, since the environment is not ours to write."""

    name: str = "settings"

    def files(self, state: BackupSource) -> list[SourceFile]:
        """One file: the values, and the names of what must be set anew."""
        kept = {name: value for name in SETTINGS if (value := state.env.get(name)) and "@" not in value}
        given = {name for name, value in state.env.items() if value}
        given |= {"HISTORY_KEY"} if state.paths.history_key.exists() else set()
        secret = [name for name in SECRETS if given & {name, f"{name}_FILE"}]
        left_out = [*secret, *(name for name in SETTINGS if name in given and name not in kept)]
        text = json.dumps({"settings": kept, "left_out": left_out}, indent=1) + "\n"
        return [SourceFile(SETTINGS_FILE, text.encode())]

    def accepts(self, file: str) -> bool:
        """That one file."""
        return file == SETTINGS_FILE

    def destination(self, paths: StatePaths) -> Path:
        """Where nothing reads it but a person."""
        return paths.root / "var" / "restored"


@dataclass(frozen=True, slots=True)
class ModelStore:
    """The archives, their signatures and registry entries, and the release record."""

    name: str = "model_store"

    def files(self, state: BackupSource) -> list[SourceFile]:
        """All archives, their signatures, then the entries that make them versions, then the record.

        Raises:
            OperationsError: an entry or the record is damaged, or the live version is not in the store.
        """
        registry = Registry(state.paths.store)
        if damaged := registry.damaged():
            raise OperationsError(f"version {damaged[0]} is damaged: a backup without it might replace a whole one")
        entries, record = registry.entries(), read_record(registry.root)
        archives = [SourceFile(entry.file, registry.root / entry.file, entry.sha256) for entry in entries]
        signed = [path for entry in entries if os.path.lexists(path := registry.signature(entry.version))]
        written = [registry.root / f"fraud-{entry.version}.json" for entry in entries]
        versions = [*archives, *map(_read, signed), *map(_read, written)]
        if record is None:
            return versions
        registry.entry(record.version)
        return [*versions, _read(registry.root / FILE_NAME)]

    def accepts(self, file: str) -> bool:
        """The names that the registry gives, and the record's."""
        return file == FILE_NAME or re.fullmatch(r"fraud-[1-9][0-9]{0,8}\.(mar|sig|json)", file) is not None

    def destination(self, paths: StatePaths) -> Path:
        """The model store."""
        return paths.store


def _read(path: Path) -> SourceFile:
    """What a link leads to is not ours to copy: a key may lie there."""
    return SourceFile(path.name, plain_file.read(path, MAX_BYTES))


@dataclass(frozen=True, slots=True)
class Journal:
    """What happened to releases."""

    name: str = "journal"

    def files(self, state: BackupSource) -> list[SourceFile]:
        """One file, or none where nothing has happened yet."""
        try:
            return [_read(state.paths.store / journal.FILE_NAME)]
        except FileNotFoundError:
            return []

    def accepts(self, file: str) -> bool:
        """That one file."""
        return file == journal.FILE_NAME

    def destination(self, paths: StatePaths) -> Path:
        """The model store."""
        return paths.store


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What retraining found of each version that it trained."""

    name: str = "verdicts"

    def files(self, state: BackupSource) -> list[SourceFile]:
        """One file for each version that was judged."""
        return [_read(path) for path in sorted(state.paths.verdicts.glob("fraud-*.json")) if self.accepts(path.name)]

    def accepts(self, file: str) -> bool:
        """The names that retraining gives."""
        return re.fullmatch(r"fraud-[1-9][0-9]{0,8}\.json", file) is not None

    def destination(self, paths: StatePaths) -> Path:
        """Where a scheduled job reads them."""
        return paths.verdicts


PARTS: tuple[BackupPart, ...] = (EnvironmentSettings(), Journal(), Verdicts(), ModelStore())
"""All that is durable. The model store is the last: its release record completes a restore."""
