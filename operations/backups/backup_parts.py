"""What a backup holds, in parts; durable state that comes later joins by one more entry in PARTS.

A part lists its files in the order in which they may come back: at each moment of a restore, what is there already
must be sound. An archive without its entry is no version, and a version without the release record is not live.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from environment import secret_files
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
    *("GATEWAY_PROCESSES", "LARGE_BODY_PROCESSES"),
    *("READ_SECONDS", "STALL_SECONDS", "LEAST_RATE", "DEADLINE_SECONDS", "BLOCK_ROWS"),
    *("MODEL_SERVER_CONNECTIONS", "FOLLOW_SECONDS", "REVIEW_THRESHOLD", "DECLINE_THRESHOLD", "BASE_MODEL"),
    *("DRAIN_DELAY_SECONDS", "TRAINING_DATA", "TRAINING_SCHEMA", "RETRAIN_RELEASE", "BACKUP_TO", "BACKUP_KEEP"),
    *("RETRAIN_MARGIN", "RETRAIN_SHARE", "CLEAN_DAYS", "SCHEDULE", "KEEPER_HOST", "KEEPER_PORT"),
    *("RETRAIN_GENUINE_AFTER", "TRAIN_SEED", "TRAIN_THREADS", "REDIS_MEMORY"),
    *("GATEWAY_URL", "MANAGEMENT_URL", "INFERENCE_URL", "KNOWN_DAYS", "VALUES_HOURS", "HISTORY"),
    *("HISTORY_TIMEOUT_SECONDS", "VERIFIED_PATH", "INFERENCE_HOST", "MANAGEMENT_HOST", "METRICS_HOST"),
    *(SIGNING_KEY, VERIFY_KEY),
)
"""The settings whose values may lie in a backup; a new one that is no secret is added here: a test reads our pages.

Keys are named by file."""
SECRETS = secret_files.NAMES
"""The settings of which a backup says only whether they were set."""
SETTINGS_FILE = "settings.json"
MAX_BYTES = 16 << 20
"""Largest file that a backup reads at once; all but archives are smaller by far."""


VERDICT = re.compile(r"fraud-[1-9][0-9]{0,8}\.json")
IN_STORE = re.compile(rf"{re.escape(FILE_NAME)}|fraud-[1-9][0-9]{{0,8}}\.(mar|sig|json)")


@dataclass(frozen=True, slots=True)
class BackupSource:
    """One deployment, from which a backup is taken."""

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


@dataclass(frozen=True, slots=True)
class BackupPart:
    """A kind of durable state.

    Attributes:
        name: its directory in a backup.
        files: its files; called under the store's locks, so that all parts are of one moment, and therefore quick.
        names: which names a file of this part may have in a backup.
    """

    name: str
    files: Callable[[BackupSource], list[SourceFile]]
    names: re.Pattern[str]
    destination: Callable[[StatePaths], Path]


def settings_files(source: BackupSource) -> list[SourceFile]:
    """The settings that are no secrets, in one file: the values, and the names of what must be set anew."""
    values = {name: value for name in SETTINGS if (value := source.env.get(name)) and "@" not in value}
    given = {name for name, value in source.env.items() if value}
    given |= {"HISTORY_KEY"} if source.paths.history_key.exists() else set()
    secret = [name for name in SECRETS if given & {name, f"{name}_FILE"}]
    left_out = [*secret, *(name for name in SETTINGS if name in given and name not in values)]
    text = json.dumps({"settings": values, "left_out": left_out}, indent=1) + "\n"
    return [SourceFile(SETTINGS_FILE, text.encode())]


def _store_files(source: BackupSource) -> list[SourceFile]:
    """All archives, their signatures, then the entries that make them versions, then the release record.

    Raises:
        OperationsError: an entry or the record is damaged, or the live version is not in the store.
    """
    registry = Registry(source.paths.store)
    if damaged := registry.damaged():
        raise OperationsError(f"version {damaged[0]} is damaged: a backup without it might replace a whole one")
    entries, record = registry.entries(), read_record(registry.root)
    archives = [SourceFile(entry.file, registry.root / entry.file, entry.sha256) for entry in entries]
    signatures = [path for entry in entries if os.path.lexists(path := registry.signature(entry.version))]
    written = [registry.root / f"fraud-{entry.version}.json" for entry in entries]
    versions = [*archives, *map(_read, signatures), *map(_read, written)]
    if record is None:
        return versions
    registry.entry(record.version)
    return [*versions, _read(registry.root / FILE_NAME)]


def _journal_files(source: BackupSource) -> list[SourceFile]:
    """What happened to releases: one file, or none where nothing has happened yet."""
    try:
        return [_read(source.paths.store / journal.FILE_NAME)]
    except FileNotFoundError:
        return []


def _verdict_files(source: BackupSource) -> list[SourceFile]:
    """What retraining found: one file for each version that was judged."""
    files = sorted(source.paths.verdicts.glob("fraud-*.json"))
    return [_read(path) for path in files if VERDICT.fullmatch(path.name)]


def _read(path: Path) -> SourceFile:
    """What a link leads to is not ours to copy: a key may lie there."""
    return SourceFile(path.name, plain_file.read(path, MAX_BYTES))


PARTS = (
    # For a person to set again: the environment is not ours to write.
    BackupPart(
        "settings", settings_files, re.compile(re.escape(SETTINGS_FILE)), lambda paths: paths.root / "var" / "restored"
    ),
    BackupPart("journal", _journal_files, re.compile(re.escape(journal.FILE_NAME)), lambda paths: paths.store),
    BackupPart("verdicts", _verdict_files, VERDICT, lambda paths: paths.verdicts),
    BackupPart("model_store", _store_files, IN_STORE, lambda paths: paths.store),
)
"""All that is durable. The model store is the last: its release record completes a restore."""
