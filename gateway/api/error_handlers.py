"""How FastAPI's own errors and this service's problems become answers."""

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from contract.faults import Fault, FaultCode
from gateway.http.problems import BadParameter, Problem, Refused, problem_response


async def _problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)  # noqa: S101 - registered for this class alone
    return problem_response(problem)


async def _http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    return problem_response(Refused(error.status_code, error.headers))


async def _validation_error(_: Request, error: Exception) -> Response:
    """FastAPI's own answer would repeat what was sent."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    names = [str(fault["loc"][-1]) for fault in error.errors()]
    return problem_response(BadParameter("", [Fault(None, name, FaultCode.NOT_AN_OPTION) for name in names]))


ERROR_HANDLERS: dict[Any, Any] = {
    Problem: _problem,
    HTTPException: _http_exception,
    RequestValidationError: _validation_error,
}
