"""Errors as RFC 9457 problem+json, one class each, split by whose fault they are.

A problem names rows and columns and never repeats what was sent. Its `code` is its class's name in snake case.
"""

import errno
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import orjson
from starlette.responses import Response

from contract.faults import Fault

LISTED_FAULTS = 20
"""Faults that an answer spells out; the rest are counted."""


class Problem(Exception):
    """Anything but success. A subclass inherits the status, title and headers that it does not name."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    title = "Something went wrong on our side"
    headers: Mapping[str, str] = MappingProxyType({})

    def __init_subclass__(cls, status: int | None = None, title: str | None = None) -> None:
        cls.status, cls.title = HTTPStatus(status or cls.status), title or cls.title

    def __init__(self, detail: str = "", faults: Sequence[Fault] = ()) -> None:
        """Takes what to tell the caller beyond the title, and where the input is at fault."""
        super().__init__(detail)
        self.detail = detail
        self.faults = faults

    @property
    def code(self) -> str:
        """The class's name in snake case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def to_json(self) -> dict[str, Any]:
        """The problem as the body of an answer."""
        body = {"type": f"urn:fraud-detection:{self.code}", "title": self.title, "status": int(self.status)}
        if self.detail:
            body["detail"] = self.detail
        if self.faults:
            body["errors"] = [fault.to_json() for fault in self.faults[:LISTED_FAULTS]]
            body["error_count"] = len(self.faults)
        return body


class NotHttp(Problem, status=400, title="Not an HTTP request that can be read here"):
    """Bytes that are no HTTP/1.1 request, or one that may not be acted upon."""


class TargetTooLong(Problem, status=414, title="The path and its query are too long"):
    """A longer path and query than any that exists here."""


class HeadTooLarge(Problem, status=431, title="The headers are too large"):
    """More header bytes than anybody needs, or more around a body than it is worth."""


class NotAuthorised(Problem, status=401, title="A valid X-API-Key is needed"):
    """No key, or not one of ours."""

    headers = MappingProxyType({"WWW-Authenticate": "ApiKey"})


class TooLarge(Problem, status=413, title="The body is too large"):
    """More bytes than the settings allow; the rest is not read."""


class TooSlow(Problem, status=408, title="The body did not arrive in time"):
    """The body did not arrive in time."""


class NotSupported(Problem, status=415, title="The body is not of a kind that can be read here"):
    """A body of another kind than the route reads."""


class NotScorable(Problem, status=422, title="The transactions cannot be scored"):
    """A body that was read and does not hold transactions as the contract wants them."""


class NotLabels(Problem, status=422, title="The labels cannot be taken"):
    """A body that was read and does not hold labels."""


class NotRemembered(Problem, status=409, title="There is nothing that labels could be for"):
    """Labels for transactions of which nothing is remembered here."""


class BadParameter(Problem, status=422, title="A query parameter is not as documented"):
    """A query parameter that is not one of those offered."""


class Refused(Problem):
    """What the router refuses: no such path, or not by this method."""

    def __init__(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """Takes the router's status, and its headers: 405 has Allow."""
        super().__init__()
        self.status = HTTPStatus(status)
        self.title = self.status.phrase
        self.headers = headers or {}


class Unavailable(Problem, status=503, title="Scoring is not available right now"):
    """Nothing is wrong with the request, and the answer cannot be had now."""

    headers = MappingProxyType({"Retry-After": "5"})


class NoModel(Unavailable):
    """No version is live yet."""


class ModelServerDown(Unavailable):
    """The model server cannot be reached, or has no worker for the live version."""


class ModelServerWrong(Unavailable):
    """The model server answered, but not with scores of the live version for these rows."""


class Draining(Unavailable, title="This gateway is about to end"):
    """This gateway is about to end; only readiness says so, and what comes meanwhile is still answered."""


class ProcessNotReady(Unavailable, title="A process of this gateway cannot score"):
    """One of several processes has no live version; only readiness says so."""


class HistoryLoading(Unavailable, title="The history is being loaded"):
    """The past that a new deployment begins with is not loaded yet; only readiness says so, like the next one."""


class Busy(Unavailable):
    """Every slot was taken until the deadline."""


class LabelsNotTaken(Unavailable, title="Labels cannot be taken right now"):
    """Redis does not take all of the labels now; to send them again does no harm."""


class OutOfMemory(Unavailable):
    """This machine has no memory left."""


class DeadlineExceeded(Problem, status=504, title="Scoring took too long"):
    """The model server did not answer in time."""

    headers = MappingProxyType({"Retry-After": "5"})


class DiskFull(Problem, status=507, title="The service has no storage left"):
    """This machine has no disk left."""

    headers = MappingProxyType({"Retry-After": "60"})


class Unexpected(Problem):
    """A defect of ours."""


def problem_of(error: Exception) -> Problem:
    """What an answer says of a failure, expected or not."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory()
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull()
    return Unexpected()


def problem_response(problem: Problem) -> Response:
    """The problem as an HTTP response."""
    body = orjson.dumps(problem.to_json())
    return Response(body, int(problem.status), dict(problem.headers), "application/problem+json")
