"""`fraud history` and `fraud labels`: what Redis keeps of transactions, and of what became known of them."""

from pathlib import Path
from typing import Annotated

import typer

from operations.commands import terminal
from operations.errors import OperationsError

history_commands = typer.Typer(help="The past that history features look back on.", no_args_is_help=True)
label_commands = typer.Typer(help="Labels that came in for scored transactions.", no_args_is_help=True)


@history_commands.command("key")
def keep_key(
    out: Annotated[Path, typer.Option("-o", "--out", help="A new file, of its owner alone.", show_default=False)],
) -> None:
    """Write a copy of the secret that ids and entities are hashed with in Redis, which no backup holds."""
    from operations.files import durable
    from operations.network.endpoints import history_secret

    if out.exists():
        raise OperationsError(f"{out} exists; choose another name")
    durable.write(out, f"{history_secret(terminal.paths(), terminal.environment())}\n".encode())
    terminal.write_line(f"Wrote {out}. Keep it apart from backups and from Redis: HISTORY_KEY_FILE takes it as it is.")


@history_commands.command("rekey")
def rekey_history() -> None:
    """Bring what Redis remembers to the HISTORY_KEY of this deployment: from none, or from the secrets before its last.

    Gateways score without history meanwhile, and say so. A run that was cut off goes on when the command runs again.
    """
    from operations.history import rekey
    from operations.network.endpoints import history_key, require_redis_url

    paths, env = terminal.paths(), terminal.environment()
    with terminal.console().status("rekeying") as status:
        done = rekey.rekey(
            require_redis_url(paths, env),
            history_key(paths, env),
            lambda moved: status.update(f"rekeying: {moved:,} digests"),
        )
    again = " (this run went on where another had ended)" if done.resumed else ""
    moved = f"{done.moved:,} digests got the key in {done.seconds:.1f} s{again}."
    terminal.write_line(
        moved if done.moved or done.resumed else "All that Redis remembers is of this key: nothing was to do."
    )


@history_commands.command("load")
def load_history(
    file: Annotated[Path | None, typer.Argument(help="CSV or parquet, labelled or not.", show_default=False)] = None,
    version: Annotated[int | None, typer.Option(min=1, help="For this version; else for the live one.")] = None,
    *,
    skip: Annotated[bool, typer.Option("--skip", help="Leave rows at fault out; else they refuse the file.")] = False,
    simulator: Annotated[
        bool, typer.Option("--simulator", help="The transactions that the default model was trained on.")
    ] = False,
) -> None:
    """Fill Redis from past transactions, so that a version's history features begin with a past.

    Each transaction counts once, whatever was scored or loaded before. A load that was cut off goes on where it ended
    when the same command runs again.
    """
    from operations.history import load_command as command

    if (file is None) != simulator:
        raise OperationsError("say what to load: a file, or --simulator")
    options = command.LoadOptions(file, version, skip)
    command.run(terminal.paths(), terminal.environment(), options, terminal.console())


@label_commands.command("export")
def export_labels(
    file: Annotated[Path, typer.Argument(help="Transactions as they were scored, CSV.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write: those with a label.")],
    days: Annotated[
        float | None, typer.Option("--genuine-after", min=0, metavar="DAYS", help="Older ones without one are genuine.")
    ] = None,
) -> None:
    """Join a file of transactions with their labels, for `fraud train --data`."""
    from operations.history import label_export

    exported = label_export.run(terminal.paths(), terminal.environment(), file, out, days)
    terminal.write_line(f"Wrote {out}: {exported}.")
