"""What `fraud release` and `fraud rollback` do with their options: one act, and a sentence on what came of it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from operations.errors import OperationsError
from operations.rollout import deployment, release_status
from operations.rollout import release as releases
from operations.rollout.deployment import DeploymentTarget, Say
from operations.rollout.gateway_status import GatewayStatus, gateway_statuses, gateways_behind, gateways_not_running
from operations.settings import StatePaths
from operations.store.release_record import read_record
from operations.text.formatting import parse_share
from releases.record import Release, TrialKind

VERSION = re.compile(r"[1-9][0-9]{0,8}|status")


@dataclass(frozen=True, slots=True)
class ReleaseOptions:
    """The options of `fraud release` as they were typed."""

    what: str | None = None
    canary: str | None = None
    on: Path | None = None
    shadow: bool = False
    promote: bool = False
    abort: bool = False
    accept_shift: bool = False

    def __post_init__(self) -> None:
        """Refuses options that exclude each other, and what is no version."""
        acts = [self.canary is not None, self.shadow, self.promote, self.abort, self.what == "status"]
        if sum(acts) > 1:
            raise OperationsError("choose one of --canary, --shadow, --promote, --abort and status")
        if any((self.canary is not None, self.shadow, self.abort, self.what == "status")) and self._compares:
            raise OperationsError("--on and --accept-shift belong to a release, or to --promote")
        if self.what is not None and (self.promote or self.abort or not VERSION.fullmatch(self.what)):
            raise OperationsError(f"{self.what}: a version is a number, and --promote and --abort take none")

    @property
    def _compares(self) -> bool:
        return self.on is not None or self.accept_shift

    @property
    def version(self) -> int | None:
        """The version that was named."""
        return int(self.what) if self.what else None


def status(paths: StatePaths, env: Mapping[str, str]) -> RenderableType:
    """What is live and what is on trial.

    Raises:
        OperationsError: the release record cannot be read.
    """
    try:
        target = deployment.find_target(paths, env)
    except OperationsError:  # Nothing runs here: the record tells what will.
        return release_status.view(paths.store, env.get("REDIS_URL"))
    statuses = gateway_statuses(target.gateway_url) if target.gateway_url else {}
    shown = release_status.view(target.store, target.redis_url, _paused(statuses))
    record = read_record(target.store)
    if len(statuses) <= 1 or record is None:
        return shown
    return Group(shown, Text("\n".join(["", *_gateways(statuses, record.version)])))


def _paused(statuses: Mapping[str, GatewayStatus]) -> str | None:
    """Why gateways send nothing to the version on trial, and which, where there are several."""
    reasons = {at: gateway.paused for at, gateway in statuses.items() if gateway.paused}
    return ", ".join(f"{why} at {at}" if len(statuses) > 1 else why for at, why in reasons.items()) or None


def _gateways(statuses: Mapping[str, GatewayStatus], live: int) -> Iterator[str]:
    """What several gateways serve, by name those that do not serve the live version."""
    others = {at: gateway.version for at, gateway in statuses.items() if gateway.version != live}
    yield f"{len(statuses) - len(others)} of {len(statuses)} gateways serve version {live}."
    for at, version in others.items():
        yield f"{at} serves {f'version {version}' if version else 'none, or does not answer'}."


def release(target: DeploymentTarget, options: ReleaseOptions, say: Say) -> None:
    """Releases, tries, promotes or aborts.

    Raises:
        OperationsError: it could not be done; everything is as before.
    """
    if options.abort:
        record = releases.abort_trial(target, "by hand", say)
        say(f"The trial is over. Version {record.version} is live.")
    elif options.shadow or options.canary is not None:
        kind = TrialKind.SHADOW if options.shadow else TrialKind.CANARY
        part = 1.0 if options.canary is None else parse_share(options.canary)
        _start_trial(target, options.version or target.registry.newest(), kind, part, say)
    else:
        _report_live(target, _released(target, options, say), say)


def rollback(target: DeploymentTarget, say: Say) -> None:
    """Goes back to the version before.

    Raises:
        OperationsError: it could not be done; everything is as before.
    """
    _report_live(target, releases.rollback(target, say), say)


def _released(target: DeploymentTarget, options: ReleaseOptions, say: Say) -> Release:
    on = options.on.read_bytes() if options.on else None
    if options.promote:
        return releases.promote(target, say, accept_shift=options.accept_shift, on=on)
    version = options.version or target.registry.newest()
    return releases.release(target, version, say, accept_shift=options.accept_shift, on=on)


def _start_trial(target: DeploymentTarget, version: int, kind: TrialKind, part: float, say: Say) -> None:
    record = releases.start_trial(target, version, kind, part, say)
    doing = "answers for" if kind is TrialKind.CANARY else "is scored beside, for"
    say(f"Version {version} {doing} {part:.1%} of all cards; version {record.version} is live.")
    say("How it does: fraud release status")
    if target.gateway_url and record.trial:
        _report_lagging(gateways_not_running(target.gateway_url, record.trial), "try it yet; {}/health says why.", say)


def _report_live(target: DeploymentTarget, record: Release, say: Say) -> None:
    before = f"; before it: version {record.previous}" if record.previous else ""
    say(f"Version {record.version} is live{before}.")
    if target.gateway_url:
        _report_lagging(
            gateways_behind(target.gateway_url, record.version), "serve it yet; {}/health says what it serves.", say
        )


def _report_lagging(gateways: list[str], what: str, say: Say) -> None:
    """Names each gateway that does not do yet what the record says."""
    for gateway in gateways:
        say(f"The gateway does not {what.format(gateway)}")
