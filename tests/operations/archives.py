"""Model stores whose archives hold real, tiny models."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from contract.decision import DecisionBands
from contract.schema import Contract
from operations.store.registry import Registry
from tests import tiny
from tests.operations.conftest import pack

METRICS = {"validation": {"rows": 100.0}, "test": {"rows": 50.0, "average_precision": 0.5, "flagged_share": 0.02}}
DATA = {
    "source": "payments.csv",
    "sha256": "a" * 64,
    "rows": 1000,
    "frauds": 12,
    "gap_days": 7.0,
    "periods": {"test": {"rows": 50, "frauds": 3, "first": "2026-01-01T00:00:00+00:00", "last": None}},
}


def add(
    registry: Registry,
    version: int,
    *,
    contract: Contract = tiny.CONTRACT,
    golden_csv: str = tiny.GOLDEN_CSV,
    slope: float = 0.01,
    **card: Any,  # noqa: ANN401 - any field of the model card
) -> None:
    """Adds a version that can score; `card` replaces fields of its model card."""
    directory: Path = registry.root.parent / f"unpacked-{version}"
    tiny.write_version(directory, version, contract, golden_csv, slope)
    described = replace(
        tiny.card(version), **{"bands": DecisionBands(0.5, 0.9), "metrics": METRICS, "data": DATA, **card}
    )
    (directory / "card.json").write_bytes(described.to_bytes())
    (directory / "checksums.json").unlink()
    archive = pack(directory.with_suffix(".mar"), {file.name: file.read_bytes() for file in directory.iterdir()})
    registry.add(archive, described, contract)
