"""How FastAPI's own errors and this service's problems become answers."""

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from contract.faults import Fault, FaultCode
from gateway.http.problems import BadParameter, Problem, Refused, problem_of, problem_response


async def _answer(_: Request, error: Exception) -> Response:
    match error:
        case HTTPException():
            return problem_response(Refused(error.status_code, error.headers))
        case RequestValidationError():  # FastAPI's own answer would repeat what was sent.
            names = [str(fault["loc"][-1]) for fault in error.errors()]
            return problem_response(BadParameter("", [Fault(None, name, FaultCode.NOT_AN_OPTION) for name in names]))
    return problem_response(problem_of(error))


ERROR_HANDLERS: dict[Any, Any] = dict.fromkeys((Problem, HTTPException, RequestValidationError), _answer)
