"""`fraud check`: looks at all that can be wrong, and says what is; made to be run each hour.

Each thing is one line. One fault is enough for exit code 1, and all of them are one alert. What is not configured here
is said and is no fault: the same command runs on a laptop and in a cluster.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from operations.errors import OperationsError, in_words
from operations.jobs import crontab, holdings, lateness, service
from operations.jobs.crontab import Job
from operations.jobs.finding import PATIENCE, Finding, State, fault
from operations.network.running import redis_of
from operations.rollout import deployment
from operations.rollout.deployment import RunningDeployment
from operations.settings import Layout

Look = Callable[[], Iterable[Finding]]


class FaultsFound(OperationsError):
    """Something is wrong; the text holds all that is."""


def check(layout: Layout, outside: Mapping[str, str], say: Callable[[str], None], patience: float = PATIENCE) -> None:
    """Looks at all, a line each.

    Args:
        layout: the directory and its model store.
        outside: the environment, with secrets themselves rather than their files.
        say: takes each line.
        patience: seconds in which a fault of the service may go away by itself.

    Raises:
        FaultsFound: something is wrong.
    """
    faults, seen = [], set[Finding]()
    for finding in look(layout, outside, patience):
        if finding not in seen:  # A record that cannot be read is met by several looks.
            say(str(finding))
            faults += [finding.text] if finding.state is State.FAULT else []
        seen.add(finding)
    if faults:
        raise FaultsFound(f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}: {'; '.join(faults)}")


def look(layout: Layout, outside: Mapping[str, str], patience: float = PATIENCE) -> Iterator[Finding]:
    """All findings, the most urgent first."""
    running: RunningDeployment | None = None
    try:
        running = deployment.find_deployment(layout, outside)
    except OperationsError as error:
        if outside.get("MANAGEMENT_URL") or layout.stack.exists():
            yield fault(str(error))
    for each in _looks(layout, outside, running, patience):
        yield from _guarded(each)


def _looks(
    layout: Layout, outside: Mapping[str, str], running: RunningDeployment | None, patience: float
) -> Sequence[Look]:
    store, now = running.store if running else layout.store, datetime.now(UTC)
    return (
        lambda: service.gateways(service.gateway_url(outside, running), store, patience),
        lambda: service.model_servers(running, store, patience),
        lambda: [service.redis(redis_of(layout, outside))],
        lambda: holdings.archive(store),
        lambda: holdings.disks([store, layout.root / "var"]),
        lambda: [holdings.backups(layout, store, outside, now)],
        lambda: lateness.jobs(_schedule(outside, layout), layout, now, are_run_elsewhere=_is_deployed(outside)),
    )


def _schedule(outside: Mapping[str, str], layout: Layout) -> Sequence[Job]:
    return crontab.read(crontab.located(outside, layout.root))


def _is_deployed(outside: Mapping[str, str]) -> bool:
    """Whether this is one of several containers, whose platform runs the jobs."""
    return bool(outside.get("MANAGEMENT_URL"))


def _guarded(findings: Look) -> Iterator[Finding]:
    """What goes wrong while it looks is a fault too, and ends no other look."""
    try:
        yield from findings()
    except OperationsError as error:
        yield fault(str(error))
    except OSError as error:
        yield fault(in_words(error))
