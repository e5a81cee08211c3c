"""`fraud check`: checks everything that can be wrong and prints what is; made to be run each hour.

Each thing is one line. One fault is enough for exit code 1, and all of them are one alert. What is not configured here
is said and is no fault: the same command runs on a laptop and in a cluster.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from operations.errors import OperationsError, in_words
from operations.jobs import crontab, inspections
from operations.jobs.inspections import RETRY_SECONDS, CheckState, Finding, fault
from operations.network.endpoints import find_redis_url
from operations.rollout import deployment
from operations.rollout.deployment import DeploymentTarget
from operations.settings import StatePaths

Check = Callable[[], Iterable[Finding]]


class FaultsFound(OperationsError):
    """Something is wrong; the text holds all that is."""


def check(
    paths: StatePaths, env: Mapping[str, str], write_line: Callable[[str], None], retry_seconds: float = RETRY_SECONDS
) -> None:
    """Looks at all, a line each.

    Args:
        paths: the directory and its model store.
        env: the environment, with secrets themselves rather than their files.
        write_line: takes each line.
        retry_seconds: seconds in which a fault of the service may go away by itself.

    Raises:
        FaultsFound: something is wrong.
    """
    faults, reported = [], set[Finding]()
    for finding in findings(paths, env, retry_seconds):
        if finding not in reported:  # A record that cannot be read is met by several looks.
            write_line(str(finding))
            faults += [finding.text] if finding.state is CheckState.FAULT else []
        reported.add(finding)
    if faults:
        raise FaultsFound(f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}: {'; '.join(faults)}")


def findings(paths: StatePaths, env: Mapping[str, str], retry_seconds: float) -> Iterator[Finding]:
    """All findings, the most urgent first."""
    running: DeploymentTarget | None = None
    try:
        running = deployment.find_target(paths, env)
    except OperationsError as error:
        if env.get("MANAGEMENT_URL") or paths.stack.exists():
            yield fault(str(error))
    for each in _checks(paths, env, running, retry_seconds):
        yield from _guarded(each)


def _checks(
    paths: StatePaths, env: Mapping[str, str], running: DeploymentTarget | None, retry_seconds: float
) -> Sequence[Check]:
    store, now = running.store if running else paths.store, datetime.now(UTC)
    gateway_url = env.get("GATEWAY_URL") or (running.gateway_url if running else None)
    are_jobs_elsewhere = bool(env.get("MANAGEMENT_URL"))  # One of several containers, whose platform runs the jobs.
    return (
        lambda: inspections.gateways(gateway_url, store, retry_seconds),
        lambda: inspections.model_servers(running, store, retry_seconds),
        lambda: [inspections.redis(find_redis_url(paths, env))],
        lambda: inspections.archive(store),
        lambda: inspections.disks([store, paths.root / "var"]),
        lambda: [inspections.backups(paths, store, env, now)],
        lambda: inspections.jobs(
            crontab.read(crontab.schedule_file(env, paths.root)), paths, now, are_run_elsewhere=are_jobs_elsewhere
        ),
    )


def _guarded(findings: Check) -> Iterator[Finding]:
    """An error of a check is a fault too, and ends no other check."""
    try:
        yield from findings()
    except OperationsError as error:
        yield fault(str(error))
    except OSError as error:
        yield fault(in_words(error))
