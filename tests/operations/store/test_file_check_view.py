"""`fraud check-file`."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from operations.cli import commands
from operations.errors import OperationsError
from operations.store.registry import Registry
from releases.record import FILE_NAME, Release
from tests.operations import archives
from tests.tiny import GOLDEN_CSV

SCORED = "It would be scored whole."


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The store of the directory that the test runs in, with one version, which is live."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    registry = Registry(tmp_path / "model_store")
    archives.add(registry, 1)
    (registry.root / FILE_NAME).write_bytes(Release(1, None, "").to_bytes())
    return registry


def check(body: bytes, *options: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    Path("rows.csv").write_bytes(body)
    result = CliRunner().invoke(commands, ["check-file", "rows.csv", *options])
    return result.exit_code, result.stdout


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_good_file_is_said_to_be_scored_whole(separator: str) -> None:
    """However it is written; by the live version, or by one of one's choice."""
    body = GOLDEN_CSV.replace(",", separator).encode()
    code, page = check(body)
    assert (code, SCORED in page) == (0, True)
    code, text = check(gzip.compress(body), "--version", "1", "--json")
    assert (code, json.loads(text)["scores_whole"]) == (0, True)


def test_what_is_wrong_is_said_with_what_to_do() -> None:
    """And the exit code is 1."""
    code, page = check(GOLDEN_CSV.replace("channel", "note").encode())
    assert (code, SCORED in page) == (1, False)
    for words in ("channel: no such column", "aliases", "named note", "columns=ignore"):
        assert words in " ".join(page.split())


def test_a_file_that_cannot_be_read_says_why() -> None:
    """In words."""
    code, page = check(b"PK\x03\x04")
    assert (code, "workbook" in page) == (1, True)


def test_a_damaged_compressed_file_is_an_error() -> None:
    """Before anything of it is looked at."""
    Path("rows.csv").write_bytes(gzip.compress(b"x")[:-3])
    with pytest.raises(OperationsError, match="cannot be unpacked"):
        CliRunner().invoke(commands, ["check-file", "rows.csv"], catch_exceptions=False)
    Path("rows.csv").write_bytes(gzip.compress(b"x")[:10] + b"\xff" * 20)
    with pytest.raises(OperationsError, match="cannot be unpacked"):
        CliRunner().invoke(commands, ["check-file", "rows.csv"], catch_exceptions=False)


def test_an_inferred_schema_comes_with_the_check_of_its_file() -> None:
    """What it reads of each column, and which it leaves out."""
    rows = "".join(f"{number % 7}.5,{number % 10 == 0:d},1\n" for number in range(40))
    Path("rows.csv").write_text(f"amount,is_fraud,chargeback_flag\n{rows}")
    page = CliRunner().invoke(commands, ["schema", "infer", "rows.csv", "-o", "rows.toml"], catch_exceptions=False)
    assert "40 rows, 40 of them without a fault" in page.stdout
    assert "named chargeback_flag" in " ".join(page.stdout.split())
    assert "Wrote rows.toml" in page.stdout
