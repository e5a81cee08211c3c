"""The `fraud` command. Each command is thin: it reads its options, calls one function, and prints.

An expected failure is one line on the error output and exit code 1; a traceback is a fault of ours. Nothing slow is
imported here: `training` brings torch and pandas and is imported by the commands that train.
"""

import importlib.metadata
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from operations import settings
from operations.commands import jobs, terminal
from operations.commands.history import history_commands, label_commands
from operations.errors import OperationsError, in_words
from operations.files import permissions
from operations.retraining.release_rule import ReleaseCriteria, ReleaseMode
from operations.settings import StatePaths
from operations.store import models_view
from operations.store.registry import Registry
from operations.text import formatting

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
commands.add_typer(jobs.backup_commands, name="backup")
for job in (jobs.retrain, jobs.check, jobs.clean, jobs.schedule):
    commands.command()(job)
commands.add_typer(history_commands, name="history")
commands.add_typer(label_commands, name="labels")


def app() -> None:
    """The `fraud` command. SIGTERM ends it as an exit would, so that temporary files go."""
    permissions.set_umask()
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


def _version(is_given: bool) -> None:
    if is_given:
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

    stack.up(settings.stack_settings(host, port, terminal.environment(), Path.cwd()), terminal.console())


@commands.command()
def keep(
    *,
    with_torchserve: Annotated[
        bool, typer.Option("--with-torchserve", help="Run a TorchServe too, in this container.")
    ] = False,
    with_schedule: Annotated[
        bool, typer.Option("--with-schedule", help="Run the jobs of `fraud schedule` too, at their times.")
    ] = False,
) -> None:
    """Keep TorchServe as the release record says, here or elsewhere, until SIGTERM."""
    from operations.jobs import crontab
    from operations.keeper import keep as keeper

    env, root = terminal.environment(), Path.cwd()
    jobs = crontab.read(crontab.schedule_file(env, root)) if with_schedule else ()
    keeper.keep(settings.keeper_settings(env, root, with_torchserve=with_torchserve), terminal.console(), jobs)


@commands.command()
def train(  # noqa: PLR0913 - each is one option of the command line
    data: Annotated[Path | None, typer.Option(help="Labelled CSV or parquet; without it, simulated payments.")] = None,
    schema: Annotated[Path | None, typer.Option(help="Its schema file; without it, one is inferred.")] = None,
    seed: Annotated[int, typer.Option(min=0, envvar="TRAIN_SEED")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most; without it, as many as training chose.")] = None,
    allow_leak: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="It may tell the label alone: it is known in time.")
    ] = None,
    *,
    alerts: Annotated[
        str | None, typer.Option(help="At most so many flagged: a share like 0.5%, or a number a day.")
    ] = None,
    false_alarm: Annotated[
        float | None, typer.Option(min=0, help="What one costs, in units of the amount: flag where it is cheapest.")
    ] = None,
    missed: Annotated[float, typer.Option(min=0, help="What a missed fraud costs, times its amount.")] = 1.0,
    amount: Annotated[str | None, typer.Option(metavar="COLUMN", help="The amount; else told by its name.")] = None,
    beside: Annotated[bool, typer.Option("--beside", help="Compare with LightGBM in the packed report too.")] = False,
    threads: Annotated[
        int, typer.Option(min=0, envvar="TRAIN_THREADS", help="Of torch; 0 takes half of the cores.")
    ] = 0,
    tune: Annotated[
        int, typer.Option(min=0, metavar="N", help="Try N settings first, judged by validation; needs optuna.")
    ] = 0,
    resume: Annotated[bool, typer.Option(help="Go on where the same training was ended.")] = True,
    goal: Annotated[
        ReleaseMode, typer.Option("--release", help="What it becomes if better than the live one.")
    ] = ReleaseMode.NONE,
    margin: Annotated[float, typer.Option(min=0, max=1, help="How much better, in average precision.")] = 0.0,
    share: Annotated[str, typer.Option(help="Of the cards that --release canary answers for.")] = "5%",
    hint: Annotated[bool, typer.Option(hidden=True)] = True,
) -> None:
    """Train the next version and put it in the model store."""
    from operations.retraining import cycle
    from operations.retraining import train as training

    console, paths = terminal.console(), terminal.paths()
    stated = training.parse_decision_options(alerts, false_alarm, missed, amount)
    wanted = training.TrainOptions(
        data, schema, seed, epochs, tuple(allow_leak or ()), threads, tune, resume, stated, beside
    )
    criteria = ReleaseCriteria(goal, margin, share)
    if goal is not ReleaseMode.NONE:
        cycle.retrain(paths, terminal.target, wanted, criteria, console)
        return
    entry = training.train(Registry(paths.store), wanted, console)
    if hint:
        console.print(formatting.metrics(entry.metrics))
        console.print(f"\nVersion {entry.version} is in the model store. Make it live: fraud release {entry.version}")


@commands.command()
def evaluate(
    version: Annotated[int | None, typer.Option(min=1, help="Its number in `fraud models`; else the newest.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Labelled CSV or parquet: the file it was trained on, or a newer one.")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The page; its JSON goes beside it.")] = Path("report.html"),
    threads: Annotated[int, typer.Option(min=1, help="Of the models beside it.")] = 1,
    *,
    beside: Annotated[
        bool, typer.Option(help="Train gradient-boosted trees and a regression on the same split.")
    ] = True,
) -> None:
    """Write the report on a version: one HTML page and a JSON, what it finds and what it costs.

    It is measured on the rows that it has not learned from: of its training file the test period, of another file
    what is newer than all that it was trained and validated on.
    """
    from operations.retraining import evaluate as evaluating

    options = evaluating.EvaluateOptions(version, data, out, beside, threads)
    report, paths = evaluating.evaluate(Registry(terminal.paths().store), options)
    for line in evaluating.lines(report):
        terminal.write_line(line)
    terminal.write_line(f"Wrote {paths[0]} and {paths[1]}.")


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

    options = acts.ReleaseOptions(what, canary, on, shadow, promote, abort, accept_shift)
    if options.what == "status":
        terminal.console().print(acts.status(terminal.paths(), terminal.environment()))
    else:
        acts.release(terminal.target(), options, terminal.write_line)


@commands.command()
def rollback() -> None:
    """Make the version live again that served before the live one, and end a trial."""
    from operations.rollout import release_commands as acts

    acts.rollback(terminal.target(), terminal.write_line)


@model_commands.callback(invoke_without_command=True)
def list_models(context: typer.Context) -> None:
    """List the versions in the model store, or look into them."""
    if context.invoked_subcommand is None:
        terminal.console().print(models_view.models_table(terminal.paths().store, datetime.now(UTC)))


@model_commands.command("show")
def show_model(
    version: Annotated[int | None, typer.Argument(min=1, help="The newest, if not given.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Model card and contract as JSON.")] = False,
) -> None:
    """Print the model card of a version."""
    from operations.store import model_card_view as card_view
    from operations.store import version_archive

    registry = Registry(terminal.paths().store)
    archive = version_archive.read_archive(registry, registry.newest() if version is None else version)
    if as_json:
        typer.echo(card_view.as_json(archive))
    else:
        terminal.page().print(card_view.view(registry, archive, datetime.now(UTC)))


@model_commands.command("diff")
def compare_models(first: Annotated[int, typer.Argument(min=1)], second: Annotated[int, typer.Argument(min=1)]) -> None:
    """Compare two versions: data, metrics, columns, and scores on their golden rows."""
    from operations.store import diff, diff_view

    terminal.page().print(diff_view.view(diff.compare_versions(Registry(terminal.paths().store), first, second)))


@model_commands.command("sign")
def sign_model(version: Annotated[int, typer.Argument(min=1)]) -> None:
    """Sign the archive of a version with the key that MODEL_SIGNING_KEY names."""
    terminal.console().print(f"Wrote {Registry(terminal.paths().store).sign(version)}.", markup=False)


@commands.command()
def restore(
    file: str, into: Annotated[Path | None, typer.Option(help="An empty directory; without it, this one.")] = None
) -> None:
    """Put a backup into an empty place."""
    from operations.backups import backup, storage

    paths = StatePaths(into.absolute(), into.absolute() / "model_store") if into else terminal.paths()
    with storage.local_copy(file) as path:
        manifest = backup.restore(path, paths)
    terminal.write_line(f"Restored into {paths.root}: {backup.summary(manifest)}.")
    terminal.write_line(f"The settings that it was made with are in {paths.root / 'var' / 'restored'}.")


@schema_commands.command("infer")
def infer_schema(
    file: Annotated[Path, typer.Argument(help="CSV or parquet, labelled.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write it here.")] = None,
) -> None:
    """Write a first schema for a file of yours, to be looked through and edited."""
    from operations.retraining import train as training

    _require_new(out)
    text = training.infer(file)
    if out is None:
        typer.echo(text)
        return
    out.write_text(text, encoding="utf-8")
    terminal.page().print(training.check_page(text, file))
    terminal.console().print(f"Wrote {out}. Look through it, then: fraud train --data {file} --schema {out}")


@schema_commands.command("preset")
def schema_preset(
    name: Annotated[str | None, typer.Argument(help="Of what; without it, all are listed.")] = None,
    file: Annotated[
        Path | None, typer.Option("--for", help="Your file: without the tables of columns that it lacks.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write it here.")] = None,
) -> None:
    """Write the schema of a known export: a payment processor's, ISO 8583, a public data set."""
    from operations.retraining import train as training

    _require_new(out)
    text = training.preset(name, file) if name else training.preset_list()
    if out is None:
        typer.echo(text, nl=False)
        return
    out.write_text(text, encoding="utf-8")
    terminal.console().print(f"Wrote {out}. Read what it says, then: fraud train --data FILE --schema {out}")


def _require_new(out: Path | None) -> None:
    if out and out.exists():
        raise OperationsError(f"{out} exists and may hold your edits; choose another name")


@commands.command("check-file")
def check_file(
    file: Annotated[Path, typer.Argument(help="A file to be scored.")],
    version: Annotated[int | None, typer.Option(min=1, help="The live one, or else the newest, if not given.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The check as JSON.")] = False,
) -> None:
    """Say what would be read of a file, column by column; exit code 1 where it would not score whole."""
    from operations.store import file_check_view as view

    check = view.check(terminal.paths().store, file, version)
    if as_json:
        typer.echo(view.as_json(check))
    else:
        terminal.page().print(view.view(check))
    if not check.scores_whole:
        raise typer.Exit(1)


@commands.command()
def sample(
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write.")] = SAMPLE,
    rows: Annotated[int, typer.Option(min=1)] = 500,
) -> None:
    """Write simulated transactions, unseen by training, to try the service with."""
    from operations.retraining import train as training

    terminal.console().print(f"Wrote {training.sample(out, rows)} transactions to {out}.")
