"""`fraud evaluate`: how good a version is, as a page that a risk manager can read."""

from pathlib import Path
from typing import Annotated

import typer

from operations.commands import terminal
from operations.store.registry import Registry


def add_to(commands: typer.Typer) -> None:
    """Adds it to the `fraud` command."""
    commands.command()(evaluate)


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
