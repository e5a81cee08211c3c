"""`fraud release status`: what is live, and a trial beside it, side by side."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from contract.decision import Decision
from operations.rollout.trial_counts import RedisUnavailable, read_trial_counts
from operations.store import journal
from operations.store.release_record import read_record
from releases.record import Release, Trial, TrialKind
from releases.trial_counts import ArmCounts, TrialArm, TrialCounts, stability_index

EVENTS = 5
ROWS: Sequence[tuple[str, Callable[[ArmCounts], str]]] = (
    ("requests", lambda side: f"{side.requests:,}"),
    ("failed", lambda side: f"{side.errors:,} ({side.error_rate:.2%})"),
    ("median", lambda side: _milliseconds(side, 0.5)),
    ("95% within", lambda side: _milliseconds(side, 0.95)),
    ("transactions", lambda side: f"{side.rows:,}"),
    ("flagged", lambda side: f"{side.flagged:,} ({side.alert_rate:.2%})"),
    ("declined", lambda side: f"{side.decisions[Decision.DECLINE]:,}"),
)


def view(store: Path, redis_url: str | None, paused: str | None = None) -> RenderableType:
    """What is live, what is on trial and how it does (`paused` is the gateway's reason), and the last events.

    Raises:
        OperationsError: the release record cannot be read.
    """
    record = read_record(store)
    if record is None:
        return Text("nothing is released yet; `fraud release` makes the newest version live")
    parts: list[RenderableType] = [Text(_live(record))]
    if record.trial:
        parts += _trial(record, record.trial, redis_url)
        parts += [Text(f"The gateway sends it nothing now: {paused}.")] if paused else []
    return Group(*parts, *_events(store))


def _live(record: Release) -> str:
    line = f"Version {record.version} is live since {record.released}"
    if record.instead_of:
        line += f", instead of version {record.instead_of}, which could not be loaded"
    return f"{line}; before it: version {record.previous}." if record.previous else f"{line}."


def _trial(record: Release, trial: Trial, redis_url: str | None) -> list[RenderableType]:
    verb = "answers for" if trial.kind is TrialKind.CANARY else "is scored beside, for"
    heading = Text(
        f"Version {trial.version} ({trial.kind}) {verb} {trial.share:.1%} of all entities since {trial.started}."
    )
    try:
        counts = read_trial_counts(redis_url, trial) if redis_url else None
    except RedisUnavailable as error:
        return [heading, Text(str(error))]
    if counts is None:
        return [heading, Text("It is paused: there is no REDIS_URL.")]
    return [heading, _side_by_side(record.version, trial.version, counts), Text(_compared(trial, counts))]


def _side_by_side(live: int, trial: int, counts: TrialCounts) -> Table:
    table = Table("", f"version {live} (live)", f"version {trial}", box=None)
    sides = [counts.arm(side) for side in TrialArm]
    for name, shown in ROWS:
        table.add_row(name, *map(shown, sides))
    return table


def _milliseconds(side: ArmCounts, quantile: float) -> str:
    return f"{side.latency(quantile) * 1e3:.0f} ms" if side.requests else "-"


def _compared(trial: Trial, counts: TrialCounts) -> str:
    live, tried = (counts.arm(side) for side in TrialArm)
    lines = [
        f"Scores: population stability index {stability_index(live.scores, tried.scores):.2f} (above 0.25: another)."
    ]
    if rows := counts.compared_rows:
        differ = counts.differing_decisions
        lines.append(f"Decisions that differ: {differ:,} of {rows:,} scored by both ({differ / rows:.2%}).")
    if unreadable := counts.counts["unreadable"]:
        lines.append(
            f"{unreadable:,} transactions lack what version {trial.version} reads; the live version scored them."
        )
    if dropped := counts.counts["dropped"]:
        lines.append(f"{dropped:,} transactions were left out by the {trial.kind}: it was busy with others.")
    return "\n".join([*lines, "End it: fraud release --promote, or fraud release --abort."])


def _events(store: Path) -> list[RenderableType]:
    events = journal.events(store)[-EVENTS:]
    if not events:
        return []
    table = Table("when", "what", "version", "why", box=None)
    for event in events:
        version = event.get("trial") or event.get("version") or ""
        cells = (event.get("at", ""), event.get("event", ""), version, event.get("why", ""))
        table.add_row(*(Text(str(cell)) for cell in cells))  # Text: brackets in it are no markup.
    return [Text(""), table]
