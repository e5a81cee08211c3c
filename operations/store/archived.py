"""What the archive of one version says: its contract, model card and golden rows, and the model's bytes unopened."""

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contract.card import ModelCard
from contract.golden import GoldenRows
from contract.schema import Contract
from operations.errors import OperationsError
from operations.store.registry import Entry, Registry

MODEL, CONTRACT, CARD, GOLDEN, REFERENCE = "model.pt", "contract.json", "card.json", "golden.json", "reference.json"
LOAD_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, RuntimeError),
    *(ValueError, KeyError, TypeError, AttributeError),
)
"""torch reports a broken model as RuntimeError, and no JSON of another shape than ours is worth its own case."""


@dataclass(frozen=True, slots=True, eq=False)
class ArchiveContents:
    """One version as its archive describes it.

    Attributes:
        model: the TorchScript module's bytes.
    """

    entry: Entry
    contract: Contract
    card: ModelCard
    golden: GoldenRows
    model: bytes


def read(registry: Registry, version: int) -> ArchiveContents:
    """Reads a version from the copy of its archive that was verified.

    Raises:
        OperationsError: there is no such version, its archive is damaged or another's, or cannot be read.
    """
    with registry.verified(version) as verified, load_errors(verified.entry.file):
        found = _read(verified.entry, verified.archive)
    if (found.card.version, found.contract.fingerprint) != (version, found.entry.contract_fingerprint):
        raise OperationsError(f"{found.entry.file} is of another version or contract than its registry entry")
    return found


def _read(entry: Entry, archive: Path) -> ArchiveContents:
    with zipfile.ZipFile(archive) as packed:
        held = {name: packed.read(name) for name in (MODEL, CONTRACT, CARD, GOLDEN)}
    return ArchiveContents(
        entry=entry,
        contract=Contract.from_bytes(held[CONTRACT]),
        card=ModelCard.from_json(json.loads(held[CARD])),
        golden=GoldenRows.from_json(json.loads(held[GOLDEN])),
        model=held[MODEL],
    )


def reference(registry: Registry, version: int) -> GoldenRows | None:
    """The reference sample of a version; None where its archive has none, as an older one, or is damaged."""
    try:
        with registry.verified(version) as verified, load_errors(verified.entry.file):
            return _reference(verified.archive)
    except OperationsError:
        return None


def _reference(archive: Path) -> GoldenRows:
    with zipfile.ZipFile(archive) as packed:
        return GoldenRows.from_json(json.loads(packed.read(REFERENCE)))


@contextmanager
def load_errors(file: str) -> Iterator[None]:
    """Turns what a broken archive raises into an error for people; its own words may hold what is in the archive."""
    try:
        yield
    except LOAD_ERRORS as error:
        raise OperationsError(f"{file} cannot be loaded ({type(error).__name__})") from None
