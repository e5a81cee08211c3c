"""The commands that a timer runs, and those that run them. Each reports how it ended, as a metric and an exit code."""

import contextlib
import os
from typing import Annotated

import typer
from typer.core import TyperGroup

from operations.commands import terminal
from operations.errors import OperationsError

backup_commands = typer.Typer(help="Back everything up: models, release record, settings. Alone: create.")


@backup_commands.callback(invoke_without_command=True)
def backup_alone(context: typer.Context) -> None:
    """Back everything up: models, release record, settings. Alone: create."""
    if context.invoked_subcommand is None and isinstance(context.command, TyperGroup):
        create = context.command.commands["create"]
        with create.make_context("create", [], parent=context) as inner:
            create.invoke(inner)


@backup_commands.command("create")
def create_backup(
    to: Annotated[
        str | None, typer.Option(envvar="BACKUP_TO", help="A directory or s3://bucket/prefix; else var/backups.")
    ] = None,
    keep: Annotated[
        int, typer.Option(min=1, envvar="BACKUP_KEEP", help="So many stay; the oldest others are deleted.")
    ] = 8,
) -> None:
    """Write one checksummed file with all that is durable; no secrets."""
    from operations.backups import backup, storage
    from operations.backups.backup_parts import BackupSource
    from operations.jobs.outcome import record_job

    paths, console = terminal.paths(), terminal.console()
    with record_job(paths, "backup"):
        made = backup.create(BackupSource(paths, os.environ), storage.storage_for(to or terminal.backups()), keep)
        console.print(f"Wrote {made.location}: {backup.summary(made.manifest)}.", markup=False)
        for name in made.deleted:
            console.print(f"Deleted {name}: {keep} are kept.", markup=False)


@backup_commands.command("list")
def list_backups(
    place: Annotated[
        str | None, typer.Option("--from", envvar="BACKUP_TO", help="A directory or s3://bucket/prefix.")
    ] = None,
) -> None:
    """List the backups of a place, the oldest first."""
    from operations.backups import backup, storage

    for name, size in backup.list_backups(storage.storage_for(place or terminal.backups())):
        terminal.write_line(f"{name}  {size / 1e6:.1f} MB")


@backup_commands.command("verify")
def verify_backup(file: str) -> None:
    """Restore a backup into a scratch directory and score the golden rows of each version."""
    from operations.backups import golden_check, storage

    failed = []
    with storage.local_copy(file) as path:
        for result in golden_check.check_golden_rows(path):
            terminal.write_line(str(result))
            failed += [] if result.is_good else [str(result.version)]
    if failed:
        raise OperationsError(f"the backup is whole, but not all in it works: version {', '.join(failed)}")


def retrain(
    genuine_after: Annotated[
        float | None,
        typer.Option(min=0, metavar="DAYS", help="Older transactions without a label are genuine.", show_default=False),
    ] = None,
) -> None:
    """Train on TRAINING_DATA, with the labels that came in, and release what is better; made to be run each week."""
    from operations.jobs.outcome import record_job
    from operations.retraining import retrain_job

    with record_job(terminal.paths(), "retrain"):
        days = {} if genuine_after is None else {"RETRAIN_GENUINE_AFTER": str(genuine_after)}
        retrain_job.retrain(terminal.paths(), terminal.environment() | days, terminal.console())


def check() -> None:
    """Look at all that can be wrong: gateways, model servers, disks, backups, jobs. Made to be run each hour."""
    from operations.jobs import check as checking
    from operations.jobs.outcome import record_job

    with record_job(terminal.paths(), "check"):
        checking.check(terminal.paths(), terminal.environment(), terminal.write_line)


def clean(*, dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False) -> None:
    """Delete old logs and what killed commands left behind; made to be run each day."""
    from operations.jobs import clean as cleaning
    from operations.jobs.outcome import record_job

    with contextlib.nullcontext() if dry_run else record_job(terminal.paths(), "clean"):
        cleaning.clean(terminal.paths(), os.environ, terminal.write_line, dry_run=dry_run)


def schedule(
    *,
    healthy: Annotated[bool, typer.Option("--healthy", help="Only ask whether one works here.")] = False,
) -> None:
    """Run the jobs of operations/crontab (or of the file SCHEDULE) at their times, until SIGTERM."""
    from operations.jobs import crontab
    from operations.jobs import schedule as scheduling

    paths = terminal.paths()
    if not healthy:
        scheduling.run(crontab.read(crontab.schedule_file(os.environ, paths.root)), paths, terminal.write_line)
    elif not scheduling.healthy(paths):
        raise OperationsError(f"no schedule has looked in {paths.root} for {scheduling.STALE_SECONDS:.0f} s")
