"""`fraud labels`: what has become known of transactions."""

from pathlib import Path
from typing import Annotated

import typer

from operations.commands import terminal

label_commands = typer.Typer(help="Labels that came in for scored transactions.", no_args_is_help=True)


def add_to(commands: typer.Typer) -> None:
    """Adds them to the `fraud` command."""
    commands.add_typer(label_commands, name="labels")


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
