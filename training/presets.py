"""Schema files of known exports: data, in `presets/`, whose first line says what each is of."""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from contract.column_names import matched
from contract.schema import Contract
from contract.table import dialect_of
from training import source
from training.errors import TrainingError
from training.schema import parse_schema

DIRECTORY = Path(__file__).with_name("presets")


@dataclass(frozen=True, slots=True)
class Preset:
    """A schema file that the project has.

    Attributes:
        summary: what exports it is of, in a line.
        text: the file.
    """

    name: str
    summary: str
    text: str

    @classmethod
    def of(cls, path: Path) -> "Preset":
        """Reads a file of the directory."""
        text = path.read_text(encoding="utf-8")
        return cls(path.stem, text.partition("\n")[0].removeprefix("# "), text)

    @property
    def contract(self) -> Contract:
        """What it reads, of no category's values."""
        return _contract(self.text)

    def known(self, header: Sequence[str]) -> int:
        """How many columns the preset has if a header has them all, those of training too; else 0."""
        contract = self.contract
        return len(contract.names) if contract.names.issubset(matched(header, contract.spellings)) else 0

    def fitted(self, path: Path) -> str:
        """The schema without the tables of columns that a file lacks, and without the history that reads these.

        Raises:
            TrainingError: the file cannot be read, or lacks the label.
            SchemaError: what is left is no schema.
        """
        contract = self.contract
        present = set(matched(_header(contract, path), contract.spellings))
        label = contract.label
        if label is None or label.name not in present:
            raise TrainingError(f"The file has no column {label and label.name}: nothing says which rows were fraud.")
        absent = {each.name for each in contract.inputs if not present.issuperset(each.names)}
        blocks = [block for block in self.text.split("\n\n") if absent.isdisjoint(_columns(tomllib.loads(block)))]
        text = "\n\n".join(blocks).rstrip("\n") + "\n"
        if label.confirmed not in present:
            text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("confirmed = "))
        parse_schema(text)
        return text


@cache
def _contract(text: str) -> Contract:
    return parse_schema(text).contract({})


def _columns(block: dict[str, Any]) -> Iterator[str]:
    """The columns that a block of a schema file is of, or reads."""
    yield from block.get("columns", {})
    for each in block.get("history", []):
        yield from (each[key] for key in ("entity", "column") if key in each)


def _header(contract: Contract, path: Path) -> list[str]:
    if source.is_parquet(path):
        with source.open_parquet(path) as file:
            return source.parquet_names(file)
    body = source.unpacked(source.read_bytes(path))
    return next(source.records(body, dialect_of(contract, body)), [])


@cache
def all_presets() -> tuple[Preset, ...]:
    """In the order of their names."""
    return tuple(Preset.of(path) for path in sorted(DIRECTORY.glob("*.toml")))


def find_preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        TrainingError: there is none; the message lists the names.
    """
    presets = {preset.name: preset for preset in all_presets()}
    if name not in presets:
        raise TrainingError(f"No preset is called {name}. There are: {', '.join(presets)}.")
    return presets[name]


def recognise(header: Sequence[str]) -> Preset | None:
    """The preset all of whose columns are in a header; of several the one with the most."""
    known = {preset.known(header): preset for preset in all_presets()}
    return known[max(known)] if max(known) else None
