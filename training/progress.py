"""What a person sees while a model is trained: a bar with the running metrics, or a few lines without a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


@dataclass(slots=True)
class Reporter:
    """Tells the console what training is doing; an interactive one gets a progress bar for the epochs."""

    console: Console
    started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """One line, with the seconds since the start."""
        self.console.print(f"[dim]{time.monotonic() - self.started:5.1f} s[/dim]  {text}", highlight=False)

    @contextmanager
    def epochs(self, total: int) -> Iterator["Epochs"]:
        """A progress bar over at most `total` epochs."""
        columns = (TextColumn("Training"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        bar = Progress(
            *columns, TextColumn("{task.description}"), console=self.console, transient=True,
            disable=not self.console.is_terminal,
        )  # fmt: skip
        with bar:
            yield Epochs(bar, bar.add_task("", total=total))


@dataclass(frozen=True, slots=True)
class Epochs:
    """The bar of one training run."""

    bar: Progress
    task: TaskID

    def resumed(self, done: int) -> None:
        """Continues after `done` epochs of an earlier run."""
        self.bar.update(self.task, completed=done)

    def running(self, share: float, loss: float) -> None:
        """An epoch is under way: which share of it is done, and its training loss so far."""
        self.bar.update(self.task, description=f"loss {loss:.4f}  {share:.0%} of this epoch")

    def done(self, loss: float, score: float, best: float) -> None:
        """One more epoch is done: its training loss, its score on the validation period, and the best so far."""
        text = f"loss {loss:.4f}  validation {score:.4f}  best {best:.4f}"
        self.bar.update(self.task, advance=1, description=text)


def silent() -> Reporter:
    """A reporter without output."""
    return Reporter(Console(quiet=True))
