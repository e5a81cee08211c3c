"""What `fraud history load` says and refuses."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from contract.schema import Contract
from history.epoch import EPOCH
from history.keyed_hash import KEY_CHECK
from operations.cli import commands
from operations.errors import OperationsError
from operations.store.registry import Registry
from tests.keys import HISTORY_KEY, KEY
from tests.operations.history.pasts import CARDS, add, make_live, redis, rows, text
from training.data import csv_bytes
from training.schema import DEFAULT, load_schema
from training.simulator import Simulation, simulate


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One in which version 1 is live, and a Redis is known."""
    registry = Registry(tmp_path / "model_store")
    add(registry, 1, CARDS)
    make_live(registry, 1)
    monkeypatch.chdir(tmp_path)
    for name in ("MODEL_PATH", "KNOWN_DAYS", "REDIS_URL_FILE"):
        monkeypatch.delenv(name, raising=False)
    with redis(tmp_path / "valkey") as (valkey, _):
        monkeypatch.setenv("REDIS_URL", valkey.url)
        monkeypatch.setenv("HISTORY_KEY", HISTORY_KEY)
        yield tmp_path


def run(*words: str) -> Result:
    """Runs the command."""
    return CliRunner().invoke(commands, ["history", "load", *words])


def test_what_was_loaded_is_said(directory: Path) -> None:
    """How many rows, of which time, for which version; and that a second run had nothing to do."""
    (directory / "past.csv").write_bytes(text(rows(2000, days=45)))
    lines = run("past.csv").stdout.splitlines()
    assert lines[0].startswith("Read 2,000 transactions, ")
    assert lines[0].endswith(" older than any window of version 1 and left out.")
    assert lines[1].startswith("Loaded ")
    assert "from 2026-01-15 " in lines[1]
    assert "to 2026-02-14 23:" in lines[1]
    assert run("past.csv").stdout.splitlines()[1:] == [
        "All of it was loaded for version 1 before: nothing was to be done."
    ]


def test_what_to_load_must_be_said(directory: Path) -> None:
    """Neither nothing nor two things."""
    for words in ([], ["past.csv", "--simulator"]):
        assert isinstance(run(*words).exception, OperationsError)


def test_a_missing_file_is_reported(directory: Path) -> None:
    """In the words of the system."""
    error = run("nowhere.csv").exception
    assert isinstance(error, OperationsError)
    assert str(error) == "nowhere.csv: No such file or directory"


def test_known_days_must_be_days(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the gateway takes it."""
    monkeypatch.setenv("KNOWN_DAYS", "soon")
    with pytest.raises(OperationsError, match="KNOWN_DAYS is a number of days, from 1 to 400"):
        raise run("past.csv").exception or AssertionError


def test_a_redis_that_gets_its_key_just_now_is_not_taken_for_an_emptied_one(directory: Path) -> None:
    """While `fraud history rekey` moves the states aside, none is found: no epoch begins then."""
    (directory / "past.csv").write_bytes(text(rows(20, days=45)))
    with Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.mset({"fraud:rekey:h:state": "", KEY_CHECK: b"1  %b" % KEY.check})
        assert isinstance(run("past.csv").exception, OperationsError)
        assert client.get(EPOCH) is None


def default_contract() -> Contract:
    """The default model's, but for the values of its categories."""
    return load_schema(DEFAULT).contract({})


def test_the_simulators_past_is_made_once_more(directory: Path) -> None:
    """The transactions are those that the version was trained on, and the second run knows them."""
    simulation = Simulation(seed=3, days=40, customers=30, terminals=20)
    body = csv_bytes(simulate(simulation))
    data = {
        "source": {"simulator": {"seed": 3, "days": 40, "customers": 30, "terminals": 20}},
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    add(Registry(directory / "model_store"), 2, default_contract(), data=data)
    first = run("--simulator", "--version", "2")
    assert f"Read {body.count(b'T0000-'):,} transactions" in first.stdout
    assert "Loaded" in first.stdout
    assert "nothing was to be done" in run("--simulator", "--version", "2").stdout


def test_a_version_of_other_data_has_no_simulators_past(directory: Path) -> None:
    """It is said, and what to give instead."""
    assert str(run("--simulator").exception) == "version 1 was not trained on the simulator: give a file"
