"""Proves from a request log that each release was one switch.

Releases that go back and forth between two versions show the same numbers again and again, so each request is given a
release: one whose version it names, and which may have been in force while it ran. What can be proven with requests
that overlap is this: **a request that started after another one had ended is not scored by an older release than it.**
Requests that overlap may be scored either way. The releases are given out in the order of the starts, each as early as
those before allow; if even so one cannot be found, then there is no way to explain the log.
"""

import heapq
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

LOG_SLACK = 0.05
"""Seconds by which a log line's time may be late: it is written after its request has ended, and threads may come
between. A caller's own notes need none: they begin before the request, and end after it."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was scored; times are seconds since 1970."""

    started: float
    ended: float
    version: int


@dataclass(frozen=True, slots=True)
class Switch:
    """One release or rollback: a command that ran from `began` to `done`, and the version that it made live."""

    version: int
    began: float
    done: float


@dataclass(frozen=True, slots=True)
class _Span:
    """When a release may have been in force: from its command's beginning to the end of the next one's."""

    version: int
    begins: float
    ends: float

    def may_have_scored(self, request: Request, slack: float) -> bool:
        overlap = self.begins <= request.ended and request.started <= self.ends + slack
        return self.version == request.version and overlap


def violations(first: int, switches: Sequence[Switch], requests: Iterable[Request], slack: float = 0.0) -> list[str]:
    """What in a log contradicts "one switch for each release"; empty is the proof.

    Args:
        first: the version that was live before the first switch.
        switches: in their order; none begins before the one before it is done.
        requests: in any order.
        slack: seconds by which the times of a request may be late.
    """
    spans = _spans(first, switches)
    result, seen = list[str](), set[int]()
    ended, floor = list[tuple[float, int]](), 0
    for request in sorted(requests, key=lambda each: each.started):
        while ended and ended[0][0] + slack < request.started:
            floor = max(floor, heapq.heappop(ended)[1])
        possible = [number for number, span in enumerate(spans) if span.may_have_scored(request, slack)]
        number = next((each for each in possible if each >= floor), None)
        if number is None:
            result.append(_violation_text(request, switches, floor, never=not possible))
        else:
            seen.add(number)
            heapq.heappush(ended, (request.ended, number))
    return result + [f"no request shows release {number}" for number in range(len(spans)) if number not in seen]


def _spans(first: int, switches: Sequence[Switch]) -> list[_Span]:
    """The release before the first switch has the number 0."""
    begins = [-math.inf, *(switch.began for switch in switches)]
    ends = [*(switch.done for switch in switches), math.inf]
    versions = [first, *(switch.version for switch in switches)]
    return [_Span(*each) for each in zip(versions, begins, ends, strict=True)]


def _violation_text(request: Request, switches: Sequence[Switch], floor: int, *, never: bool) -> str:
    origin = switches[0].began if switches else request.started
    when = f"{request.started - origin:+.3f} s to {request.ended - origin:+.3f} s"
    if never:
        return f"version {request.version} scored from {when}, when it was neither the old one nor the new"
    return f"version {request.version} scored from {when}, after release {floor} had scored a request that was over"


def logged(lines: Iterable[str], prefix: str) -> Iterator[tuple[str, int, Request | None]]:
    """Requests of a gateway's log whose id begins so: id, status, and the request where its line names a version."""
    for line in lines:
        fields = json.loads(line)
        if fields.get("event") == "request" and str(fields.get("request_id", "")).startswith(prefix):
            yield fields["request_id"], fields["status"], _request(fields)


def _request(fields: dict[str, object]) -> Request | None:
    version = fields.get("model_version")
    if not isinstance(version, int):
        return None
    ended = datetime.fromisoformat(str(fields["timestamp"])).timestamp()
    return Request(ended - float(str(fields["milliseconds"])) / 1e3, ended, version)
