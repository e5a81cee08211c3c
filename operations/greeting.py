"""What `fraud up` says once everything runs: what, where, and a line to paste."""

import shlex

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from operations.programs import Stack
from operations.settings import DEFAULT_KEY, Settings


def show(console: Console, settings: Settings, stack: Stack, version: int, seconds: float) -> None:
    """Prints it."""
    lines = Table.grid(padding=(0, 2))
    for name, text in _lines(settings, stack, version):
        lines.add_row(name, text)
    console.print(Panel(lines, title=f"ready in {seconds:.0f} s", title_align="left", expand=False))
    if settings.key_is_default:
        console.print(f"[bold yellow]API_KEY is not set: everybody knows the key {DEFAULT_KEY!r}.[/]")
    console.print("Try it (Ctrl-C stops everything):\n")
    console.print(curl(settings, stack), soft_wrap=True, highlight=False, markup=False)


def curl(settings: Settings, stack: Stack) -> str:
    """A line that works as pasted, in the directory of the stack. A key that was set is not repeated on a terminal."""
    key = DEFAULT_KEY if settings.key_is_default else "$API_KEY"
    sample = settings.layout.sample.relative_to(settings.layout.root)
    return f'curl -X POST -H "X-API-Key: {key}" -F "file=@{sample}" {shlex.quote(stack.gateway_url + "/upload")}'


def _lines(settings: Settings, stack: Stack, version: int) -> list[tuple[str, str]]:
    return [
        ("gateway", stack.gateway_url),
        ("docs", f"{stack.gateway_url}/docs"),
        ("model", f"version {version}, {settings.workers} workers in TorchServe"),
        ("redis", "Valkey, started here" if stack.valkey else "the one of REDIS_URL"),
        ("logs", str(settings.layout.logs)),
    ]
