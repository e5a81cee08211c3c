"""Schema files of known exports: data, in `presets/`, whose first line says what each is of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.column_names import matched
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

    def known(self, header: Sequence[str]) -> int:
        """How many columns the preset has if a header has them all, those of training too; else 0."""
        contract = parse_schema(self.text).contract({})
        return len(contract.names) if contract.names.issubset(matched(header, contract.spellings)) else 0


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
