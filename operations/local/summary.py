"""What `fraud up` says once everything runs: what, where, and a line to paste."""

import csv
import shlex
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from environment.bounded_transport import BoundedTransport
from operations.local.programs import StackPlan
from operations.settings import DEFAULT_KEY, StackSettings

TIMEOUT = 1.0
REDIS_PORT = 6379


@dataclass(frozen=True, slots=True)
class StackSummary:
    """What there is to be said; `sample_fits` is True too where nobody could tell."""

    settings: StackSettings
    stack: StackPlan
    version: int
    redis: str
    sample_fits: bool


def collect_summary(settings: StackSettings, stack: StackPlan, version: int) -> StackSummary:
    """Asks the gateway and Redis; takes a few seconds at most."""
    columns, header = _columns(settings, stack), _header(settings)
    fits = not columns or not header or columns == header
    redis = "Valkey, started here"
    if settings.redis_url is not None:
        redis = "the one of REDIS_URL" + ("" if _answers(settings.redis_url) else " (does not answer)")
    return StackSummary(settings, stack, version, redis, fits)


def print_summary(console: Console, summary: StackSummary, seconds: float) -> None:
    """Prints it."""
    lines = Table.grid(padding=(0, 2))
    lines.add_row("gateway", summary.stack.gateway_url)
    lines.add_row("docs", f"{summary.stack.gateway_url}/docs")
    lines.add_row("model", f"version {summary.version}, {summary.settings.workers} workers in TorchServe")
    lines.add_row("redis", summary.redis)
    lines.add_row("logs", str(summary.settings.paths.logs))
    console.print(Panel(lines, title=f"ready in {seconds:.0f} s", title_align="left", expand=False))
    if summary.settings.is_default_key:
        console.print(f"[bold yellow]API_KEY is not set: everybody knows the key {DEFAULT_KEY!r}.[/]")
    console.print("Try it (Ctrl-C stops everything):\n")
    for line in example_commands(summary):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def example_commands(summary: StackSummary) -> list[str]:
    """Lines that work as pasted, in the directory of the stack. A key that was set is not repeated on a terminal."""
    settings, url = summary.settings, summary.stack.gateway_url
    header = f'-H "X-API-Key: {DEFAULT_KEY if settings.is_default_key else "$API_KEY"}"'
    which = "one of the keys" if len(_keys(settings)) > 1 else "the key"
    export = f"in the other terminal first: export API_KEY=...  ({which} that this stack was started with)"
    first = [] if settings.is_default_key else [export]
    sample = settings.paths.sample.relative_to(settings.paths.root)
    if summary.sample_fits:
        return [*first, f'curl -X POST {header} -F "file=@{sample}" {shlex.quote(url + "/upload")}']
    note = f"{sample} is not of the live version's columns; these it takes, upload a CSV file with them:"
    return [*first, note, f"curl {header} {shlex.quote(url + '/v1/contract')}"]


def _keys(settings: StackSettings) -> list[str]:
    return [key.strip() for key in settings.api_key.split(",") if key.strip()]


def _columns(settings: StackSettings, stack: StackPlan) -> set[str]:
    """The columns that the live version takes; none where the gateway does not say."""
    headers = {b"X-API-Key": _keys(settings)[0].encode()}
    try:
        with httpx.Client(transport=BoundedTransport(), trust_env=False, timeout=TIMEOUT) as client:
            fields = client.get(f"{stack.gateway_url}/v1/contract", headers=headers).json()
        return {str(column["name"]) for column in fields["columns"]}
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return set()


def _header(settings: StackSettings) -> set[str]:
    try:
        with settings.paths.sample.open(newline="", encoding="utf-8-sig") as file:
            return set(next(csv.reader(file), []))
    except (OSError, ValueError, csv.Error):
        return set()


def _answers(url: str) -> bool:
    """Whether somebody listens there."""
    try:
        address = urlsplit(url)
        if address.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(TIMEOUT)
                connection.connect(address.path)
        else:
            endpoint = (address.hostname or "localhost", address.port or REDIS_PORT)
            socket.create_connection(endpoint, TIMEOUT).close()
    except (OSError, ValueError):
        return False
    return True
