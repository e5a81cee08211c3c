"""The `fraud` command. Each command is thin: it reads its options, calls one function, and prints.

An expected failure is one line on the error output and exit code 1; a traceback is a fault of ours. Nothing slow is
imported here: `training` brings torch and pandas and is imported by the commands that train.
"""

import importlib.metadata
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from operations import figures, settings
from operations.errors import OperationsError, in_words
from operations.retraining.verdict import Goal, Terms
from operations.rollout import connection
from operations.settings import Layout
from operations.store import models
from operations.store.registry import Registry

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
model_commands = typer.Typer(help="The versions in the model store. Alone: list them.")
commands.add_typer(model_commands, name="models")
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
    from operations.local import stack

    stack.up(settings.read(host, port, os.environ, Path.cwd()), _console())


@commands.command()
def train(  # noqa: PLR0913 - each is one option of the command line
    data: Annotated[Path | None, typer.Option(help="Labelled CSV or parquet; without it, simulated payments.")] = None,
    schema: Annotated[Path | None, typer.Option(help="Its schema file; without it, one is inferred.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most; without it, as many as training chose.")] = None,
    *,
    goal: Annotated[Goal, typer.Option("--release", help="What it becomes if better than the live one.")] = Goal.NONE,
    margin: Annotated[float, typer.Option(min=0, max=1, help="How much better, in average precision.")] = 0.0,
    share: Annotated[str, typer.Option(help="Of the cards that --release canary answers for.")] = "5%",
    hint: Annotated[bool, typer.Option(hidden=True)] = True,
) -> None:
    """Train the next version and put it in the model store."""
    from operations.retraining import cycle
    from operations.retraining import train as training

    console, layout = _console(), _layout()
    wanted, terms = training.Wanted(data, schema, seed, epochs), Terms(goal, margin, share)
    if goal is not Goal.NONE:
        cycle.retrain(layout, lambda: connection.find(layout, os.environ), wanted, terms, console)
        return
    entry = training.train(Registry(layout.store), wanted, console)
    if hint:
        console.print(figures.metrics(entry.metrics))
        console.print(f"\nVersion {entry.version} is in the model store. Make it live: fraud release {entry.version}")


@commands.command()
def release(  # noqa: PLR0913 - each is one option of the command line
    what: Annotated[
        str | None, typer.Argument(metavar="[VERSION|status]", help="Its number in `fraud models`; else the newest.")
    ] = None,
    canary: Annotated[str | None, typer.Option(help="Let it answer for a share of the cards first, like 5%.")] = None,
    on: Annotated[
        Path | None, typer.Option(help="Recent transactions (CSV) to compare it with the live one on.")
    ] = None,
    *,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Score beside the live version first, never answer.")
    ] = False,
    promote: Annotated[bool, typer.Option("--promote", help="Make the version on trial live.")] = False,
    abort: Annotated[bool, typer.Option("--abort", help="End the trial.")] = False,
    accept_shift: Annotated[bool, typer.Option("--accept-shift", help="Even if it flags other transactions.")] = False,
) -> None:
    """Make a version live, or try it beside the live one; on any failure nothing changes.

    fraud release status shows what is live and how a trial does.
    """
    from operations.rollout import release_commands as acts

    wish = acts.Wish(what, canary, on, shadow, promote, abort, accept_shift)
    if wish.what == "status":
        _console().print(acts.status(_layout(), os.environ))
    else:
        acts.release(connection.find(_layout(), os.environ), wish, _say)


@commands.command()
def rollback() -> None:
    """Make the version live again that served before the live one, and end a trial."""
    from operations.rollout import release_commands as acts

    acts.rollback(connection.find(_layout(), os.environ), _say)


@model_commands.callback(invoke_without_command=True)
def list_models(context: typer.Context) -> None:
    """List the versions in the model store, or look into them."""
    if context.invoked_subcommand is None:
        _console().print(models.table(_layout().store, datetime.now(UTC)))


@model_commands.command("show")
def show_model(
    version: Annotated[int, typer.Argument(min=1)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Model card and contract as JSON.")] = False,
) -> None:
    """Print the model card of a version."""
    from operations.store import archived, card_view

    registry = Registry(_layout().store)
    found = archived.read(registry, version)
    if as_json:
        typer.echo(card_view.as_json(found))
    else:
        _page().print(card_view.view(registry, found, datetime.now(UTC)))


@model_commands.command("diff")
def compare_models(first: Annotated[int, typer.Argument(min=1)], second: Annotated[int, typer.Argument(min=1)]) -> None:
    """Compare two versions: data, metrics, columns, and scores on their golden rows."""
    from operations.store import diff, diff_view

    _page().print(diff_view.view(diff.between(Registry(_layout().store), first, second)))


@model_commands.command("sign")
def sign_model(version: Annotated[int, typer.Argument(min=1)]) -> None:
    """Sign the archive of a version with the key that MODEL_SIGNING_KEY names."""
    _console().print(f"Wrote {Registry(_layout().store).sign(version)}.", markup=False)


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
    from operations.backups import backup, storage
    from operations.backups.backup_parts import State

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
    from operations.backups import backup, storage

    for name, size in backup.kept(storage.at(place or _backups())):
        _console().print(f"{name}  {size / 1e6:.1f} MB", markup=False)


@backup_commands.command("verify")
def verify_backup(file: str) -> None:
    """Restore a backup into a scratch directory and score the golden rows of each version."""
    from operations.backups import rescoring, storage

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
    from operations.backups import backup, storage

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
    from operations.retraining import train as training

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
    from operations.retraining import train as training

    _console().print(f"Wrote {training.sample(out, rows)} transactions to {out}.")


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _page() -> Console:
    """For what is longer than a line: wrapped to the terminal, or to 80 columns where there is none."""
    return Console(highlight=False)


def _say(text: str) -> None:
    """Prints what may hold anybody's words: brackets in it are no markup."""
    _console().print(text, markup=False)


def _backups() -> str:
    return str(_layout().root / "var" / "backups")


def _layout() -> Layout:
    root = Path.cwd()
    return Layout(root, settings.model_path(os.environ, root)[0])
