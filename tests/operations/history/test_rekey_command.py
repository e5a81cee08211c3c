"""`fraud history key` and `fraud history rekey` as they are called."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from redis import Redis
from typer.testing import CliRunner, Result

from history.keyed_hash import KEY_CHECK, UNKEYED
from operations.commands.history import history_commands
from operations.errors import OperationsError
from tests.keys import HISTORY_KEY, KEY
from tests.operations.history.pasts import CARDS, live, plan_of, redis, rows, without_labels


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """Of the Redis that the environment names."""
    monkeypatch.chdir(tmp_path)
    for name in ("MANAGEMENT_URL", "HISTORY_KEY_FILE", "REDIS_URL_FILE"):
        monkeypatch.delenv(name, raising=False)
    with redis(tmp_path / "valkey") as (valkey, result):
        monkeypatch.setenv("REDIS_URL", valkey.url)
        monkeypatch.setenv("HISTORY_KEY", HISTORY_KEY)
        yield result


def run(*words: str) -> Result:
    """Runs the command."""
    commands = typer.Typer()
    commands.add_typer(history_commands, name="history")
    return CliRunner().invoke(commands, ["history", *words])


def test_rekeying_says_what_it_did(client: Redis) -> None:
    """And that there was nothing to do the next time."""
    live(client, plan_of(CARDS), without_labels(rows(50)), key=UNKEYED)
    assert "digests got the key in" in run("rekey").stdout
    assert client.get(KEY_CHECK) == KEY.check
    assert "nothing was to do" in run("rekey").stdout


def test_a_copy_of_the_secret_is_its_owners_alone(client: Redis, tmp_path: Path) -> None:
    """It is the one that the setting takes; a file that is there is not written over, and nothing shows it."""
    output = run("key", "-o", "copy.key").stdout
    assert (tmp_path / "copy.key").read_text() == f"{HISTORY_KEY}\n"
    assert (tmp_path / "copy.key").stat().st_mode & 0o777 == 0o600
    assert HISTORY_KEY not in output
    assert isinstance(run("key", "-o", "copy.key").exception, OperationsError)


def test_the_secret_that_up_made_is_used(client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By commands in its directory; where there is none, what to set is said."""
    monkeypatch.delenv("HISTORY_KEY")
    assert "HISTORY_KEY is not set" in str(run("key", "-o", "copy.key").exception)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "history.key").write_text(f"{'a' * 64}\n")
    run("key", "-o", "copy.key")
    assert (tmp_path / "copy.key").read_text() == f"{'a' * 64}\n"
