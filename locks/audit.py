"""`make audit`: what is publicly known against the packages in the locks; silence of the service is a failure.

PyPI is asked about each version in each lock, over its JSON API, which carries the advisories of OSV. pip-audit 2.10.1
asks the same, but with --strict too it passes in silence where an answer does not speak of advisories, and where a
marker is not true on the machine it runs on. Here a package without an answer is a failure, and so is a service that
does not know of an old flaw.
"""

import datetime
import os
import sys
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Self

import httpx
from packaging.utils import canonicalize_name
from packaging.version import Version
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from locks import pins
from locks.pins import LOCKS, LockError, Pin

SERVICE = "https://pypi.org/pypi"
KNOWN_VULNERABLE = Pin("jinja2", "2.10", None, ())
KNOWN_ADVISORY = "CVE-2019-10906"
"""A flaw that every service with advisories knows. One that does not can be no evidence for any other package."""
SHOWN = 3
"""Names of packages in one line, before "and N more"."""


class Advisory(BaseModel):
    """One known flaw of one version, as PyPI tells it."""

    id: str
    aliases: list[str] = []
    summary: str | None = None
    fixed_in: list[str] = []
    withdrawn: str | None = None

    @property
    def names(self) -> set[str]:
        """Its own identifier and those it has elsewhere."""
        return {self.id, *self.aliases}

    def __str__(self) -> str:
        """Its names, what it is, and which versions are without it."""
        cure = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "no fixed version"
        return f"{' '.join([self.id, *self.aliases])}: {self.summary or 'no summary'} ({cure})"


class _Release(BaseModel):
    name: str
    version: str


class _Answer(BaseModel):
    info: _Release
    vulnerabilities: list[Advisory]  # No default: an answer without the key says nothing.


class Exemption(BaseModel):
    """An advisory that is accepted until a day, and why."""

    model_config = ConfigDict(extra="forbid")

    package: str
    id: str
    reason: str
    expires: datetime.date


@dataclass(frozen=True)
class Findings:
    """What came of asking about every package."""

    asked: int
    advisories: list[tuple[Pin, Advisory]]
    unanswered: list[tuple[Pin, str]]

    @classmethod
    def of(cls, answers: Iterable[tuple[Pin, list[Advisory] | str]]) -> Self:
        """Sort the answers; a text instead of advisories is the reason why there are none."""
        results = list(answers)
        advisories = [(pin, one) for pin, result in results if not isinstance(result, str) for one in result]
        return cls(len(results), advisories, [(pin, why) for pin, why in results if isinstance(why, str)])


def read_exemptions(file: Path) -> list[Exemption]:
    """The accepted advisories.

    Raises:
        LockError: the file is not what its head describes.
    """
    try:
        fields = tomllib.loads(file.read_text(encoding="utf-8"))
        return TypeAdapter(dict[Literal["exception"], list[Exemption]]).validate_python(fields).get("exception", [])
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise LockError(f"{file.name}: {error}") from error


def ask(client: httpx.Client, pin: Pin) -> list[Advisory] | str:
    """What the service knows against one version of a package, or as a text why nothing was learned."""
    try:
        reply = client.get(f"{pin.name}/{pin.version}/json")
    except httpx.HTTPError as error:
        return f"the service was not reached ({type(error).__name__})"
    if reply.status_code != httpx.codes.OK:
        return f"the service answered {reply.status_code}"
    try:
        answer = _Answer.model_validate_json(reply.content)
    except ValidationError:
        return "the answer does not speak of vulnerabilities"
    if canonicalize_name(answer.info.name) != pin.name or Version(answer.info.version) != Version(pin.version):
        return "the answer is about another package"
    return [one for one in answer.vulnerabilities if one.withdrawn is None]


def ask_all(requested: Iterable[Pin], service: str) -> Findings:
    """Ask about each package, eight at a time, after the service has shown that it carries advisories."""
    distinct = {(pin.name, pin.version): pin for pin in requested}.values()
    with httpx.Client(base_url=service, timeout=30, follow_redirects=True) as client, ThreadPoolExecutor(8) as pool:
        failure = _self_test(client)
        if failure:
            return Findings.of((pin, failure) for pin in distinct)
        return Findings.of(zip(distinct, pool.map(partial(ask, client), distinct), strict=True))


def problems(findings: Findings, exemptions: list[Exemption], today: datetime.date) -> Iterator[str]:
    """Each reason why the audit has failed, a line each; none means that every package was checked and is clean."""
    yield from _unchecked(findings)
    for pin, advisory in findings.advisories:
        if not any(one.package == pin.name and one.id in advisory.names for one in exemptions):
            yield f"{pin.name} {pin.version}: {advisory}"
    for one in exemptions:
        if one.expires < today:
            yield f"exception {one.id} of {one.package} expired on {one.expires}: fix it or think it through again"
        elif not findings.unanswered and not _matches(one, findings):
            yield f"exception {one.id} of {one.package} is not needed any more: remove it"


def main() -> int:
    """Audit every lock.

    Returns:
        0 if every package was checked and nothing is known against any, 1 otherwise.
    """
    service = os.environ.get("AUDIT_SERVICE", SERVICE)
    locks = pins.every_lock()
    try:
        exemptions = read_exemptions(LOCKS / "audit-exceptions.toml")
        requested = [pin for lock in locks for pin in pins.read(lock)]
    except LockError as error:
        print(f"The audit failed.\n  {error}", file=sys.stderr)
        return 1
    findings = ask_all(requested, service)
    reasons = list(problems(findings, exemptions, datetime.datetime.now(datetime.UTC).date()))
    if reasons:
        print("\n  ".join(["The audit failed.", *reasons]), file=sys.stderr)
        return 1
    accepted = f", {len(exemptions)} accepted until later" if exemptions else ""
    print(f"{findings.asked} packages of {len(locks)} locks: nothing is known against any{accepted}.")
    return 0


def _self_test(client: httpx.Client) -> str | None:
    known, package = ask(client, KNOWN_VULNERABLE), f"{KNOWN_VULNERABLE.name} {KNOWN_VULNERABLE.version}"
    if isinstance(known, str):
        return f"{known}, asked for {package}"
    if any(KNOWN_ADVISORY in one.names for one in known):
        return None
    return f"the service does not know {KNOWN_ADVISORY} of {package}, so it carries no advisories"


def _unchecked(findings: Findings) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for pin, why in findings.unanswered:
        by_reason.setdefault(why, []).append(f"{pin.name} {pin.version}")
    for why, names in by_reason.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        yield f"not checked, {len(names)} of {findings.asked} packages: {why}: {', '.join(names[:SHOWN])}{more}"


def _matches(exemption: Exemption, findings: Findings) -> bool:
    return any(pin.name == exemption.package and exemption.id in one.names for pin, one in findings.advisories)


if __name__ == "__main__":
    sys.exit(main())
