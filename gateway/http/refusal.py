"""How the app answers what the protocol refused: by the same way as all else, so that it is observed like all else."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.problems import Problem, problem_response

HEAD = "gateway.head_refused"
"""In a scope: the problem of a request whose head could not be read; nothing else in the scope is the caller's."""
BODY = "gateway.body_refused"
"""In a scope: the problem of a request whose body turned out to be unreadable while it arrived."""


class RefusalMiddleware:
    """Answers a refused head; ends the reading of a refused body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or calls the app."""
        if refused := scope.get(HEAD):
            return await problem_response(refused)(scope, receive, send)
        return await self.app(scope, _checked(scope, receive), send)


def _checked(scope: Scope, receive: Receive) -> Receive:
    async def checked() -> Message:
        message = await receive()
        refused: Problem | None = scope.get(BODY)
        if refused:
            raise refused
        return message

    return checked
