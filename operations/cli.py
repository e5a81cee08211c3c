"""The `fraud` command. Each command is thin: it reads its options, calls one function, and prints.

An expected failure is one line on the error output and exit code 1; a traceback is a fault of ours. Nothing slow is
imported here: `training` brings torch and pandas and is imported by the commands that train.
"""

import importlib.metadata
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from contract.release import Release
from operations import connection, models, settings
from operations.errors import OperationsError, in_words
from operations.following import followed
from operations.registry import Registry
from operations.release import Place
from operations.release import release as make_live
from operations.release import rollback as go_back
from operations.settings import Layout

SAMPLE = Path("examples/transactions.csv")

commands = typer.Typer(
    name="fraud",
    help="Card-fraud scoring: run it, train it, release it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
schema_commands = typer.Typer(help="Schema files, which say what the columns of your data are.", no_args_is_help=True)
commands.add_typer(schema_commands, name="schema")
backup_commands = typer.Typer(help="Back everything up: models, release record, settings. Alone: create.")
commands.add_typer(backup_commands, name="backup")


def app() -> None:
    """The `fraud` command. SIGTERM ends it as an exit would, so that temporary files go."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        commands()
    except OperationsError as error:
        _fail(str(error))
    except OSError as error:
        _fail(in_words(error))


def _fail(text: str) -> NoReturn:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"[bold red]error:[/] {escape(text)}")
    sys.exit(1)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"fraud {importlib.metadata.version('fraud-detection-api')}")
        raise typer.Exit


@commands.callback()
def main(
    *,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
) -> None:
    """Card-fraud scoring: run it, train it, release it."""


@commands.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the gateway listens.")] = 8000,
    host: Annotated[str, typer.Option(help="127.0.0.1 is this machine alone.")] = "127.0.0.1",
) -> None:
    """Run the whole system on this machine until Ctrl-C."""
    from operations import stack

    stack.up(settings.read(host, port, os.environ, Path.cwd()), _console())


@commands.command()
def train(
    data: Annotated[Path | None, typer.Option(help="Labelled CSV or parquet; without it, simulated payments.")] = None,
    schema: Annotated[Path | None, typer.Option(help="Its schema file; without it, one is inferred.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most; without it, as many as training chose.")] = None,
    *,
    hint: Annotated[bool, typer.Option(hidden=True)] = True,
) -> None:
    """Train the next version and put it in the model store."""
    from operations import train as training

    console = _console()
    wanted = training.Wanted(data, schema, seed, epochs)
    entry = training.train(Registry(_layout().store), wanted, console)
    if hint:
        console.print(training.metrics(entry))
        console.print(f"\nVersion {entry.version} is in the model store. Make it live: fraud release {entry.version}")


@commands.command()
def release(
    version: Annotated[int | None, typer.Argument(help="Its number in `fraud models`; the newest without one.")] = None,
) -> None:
    """Make a version the live one; on any failure nothing changes."""
    _switch(lambda place, say: make_live(place, place.registry.newest() if version is None else version, say))


@commands.command()
def rollback() -> None:
    """Make the version live again that served before the live one."""
    _switch(go_back)


def _switch(act: Callable[[Place, Callable[[str], None]], Release]) -> None:
    layout, console = _layout(), _console()
    running = connection.find(layout, os.environ)
    record = act(Place(Registry(running.store), running.server, running.workers), console.print)
    before = f"; before it: version {record.previous}" if record.previous else ""
    console.print(f"Version {record.version} is live{before}.")
    if running.gateway_url and not followed(running.gateway_url, record.version):
        console.print(f"The gateway does not serve it yet; {running.gateway_url}/health says what it serves.")


@commands.command("models")
def list_models() -> None:
    """List the versions in the model store."""
    _console().print(models.table(_layout().store))


@backup_commands.callback(invoke_without_command=True)
def backup_alone(context: typer.Context) -> None:
    """Back everything up: models, release record, settings. Alone: create."""
    if context.invoked_subcommand is None:
        create_backup()


@backup_commands.command("create")
def create_backup(
    to: Annotated[str | None, typer.Option(help="A directory or s3://bucket/prefix; else var/backups.")] = None,
    keep: Annotated[int, typer.Option(min=1, help="So many stay; the oldest others are deleted.")] = 8,
) -> None:
    """Write one checksummed file with all that is durable; no secrets."""
    from operations import backup, storage
    from operations.backup_parts import State

    place = storage.at(to or _backups())
    made = backup.create(State(_layout(), os.environ), place, keep)
    console = _console()
    console.print(f"Wrote {made.where}: {backup.summary(made.manifest)}.", markup=False)
    for name in made.deleted:
        console.print(f"Deleted {name}: {keep} are kept.", markup=False)


@backup_commands.command("list")
def list_backups(
    place: Annotated[str | None, typer.Option("--from", help="A directory or s3://bucket/prefix.")] = None,
) -> None:
    """List the backups of a place, the oldest first."""
    from operations import backup, storage

    for name, size in backup.kept(storage.at(place or _backups())):
        _console().print(f"{name}  {size / 1e6:.1f} MB", markup=False)


@backup_commands.command("verify")
def verify_backup(file: str) -> None:
    """Restore a backup into a scratch directory and score the golden rows of each version."""
    from operations import rescoring, storage

    bad = []
    with storage.local(file) as path:
        for result in rescoring.rescore(path):
            _console().print(str(result), markup=False)
            bad += [] if result.good else [str(result.version)]
    if bad:
        raise OperationsError(f"the backup is whole, but not all in it works: version {', '.join(bad)}")


@commands.command()
def restore(
    file: str, into: Annotated[Path | None, typer.Option(help="An empty directory; without it, this one.")] = None
) -> None:
    """Put a backup into an empty place."""
    from operations import backup, storage

    layout = Layout(into.absolute(), into.absolute() / "model_store") if into else _layout()
    with storage.local(file) as path:
        manifest = backup.restore(path, layout)
    _console().print(f"Restored into {layout.root}: {backup.summary(manifest)}.", markup=False)
    _console().print(f"The settings that it was made with are in {layout.root / 'var' / 'restored'}.", markup=False)


@schema_commands.command("infer")
def infer_schema(
    file: Annotated[Path, typer.Argument(help="CSV or parquet, labelled.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write it here.")] = None,
) -> None:
    """Write a first schema for a file of yours, to be looked through and edited."""
    from operations import train as training

    if out and out.exists():
        raise OperationsError(f"{out} exists and may hold your edits; choose another name")
    text = training.infer(file)
    if out is None:
        typer.echo(text)
        return
    out.write_text(text, encoding="utf-8")
    _console().print(f"Wrote {out}. Look through it, then: fraud train --data {file} --schema {out}")


@commands.command()
def sample(
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write.")] = SAMPLE,
    rows: Annotated[int, typer.Option(min=1)] = 500,
) -> None:
    """Write simulated transactions, unseen by training, to try the service with."""
    from operations import train as training

    _console().print(f"Wrote {training.sample(out, rows)} transactions to {out}.")


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _backups() -> str:
    return str(_layout().root / "var" / "backups")


def _layout() -> Layout:
    root = Path.cwd()
    return Layout(root, settings.model_path(os.environ, root)[0])
