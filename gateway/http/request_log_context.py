"""Which versions answered the request at hand, for its log line: whoever checks a release reads it there."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RequestLogContext:
    """Versions that answered: a batch that a release falls into may have several live ones."""

    live: set[int] = field(default_factory=set)
    trial: set[int] = field(default_factory=set)

    def fields(self) -> dict[str, int | list[int]]:
        """For the log line: a number, or a sorted list of several; none where no version answered."""
        sides = {"model_version": sorted(self.live), "trial_version": sorted(self.trial)}
        return {name: versions[0] if len(versions) == 1 else versions for name, versions in sides.items() if versions}


_CONTEXT: ContextVar[RequestLogContext | None] = ContextVar("answered", default=None)


@contextmanager
def request_log_context() -> Iterator[RequestLogContext]:
    """Collects what is noted inside, in tasks that are begun there too."""
    answered = RequestLogContext()
    token = _CONTEXT.set(answered)
    try:
        yield answered
    finally:
        _CONTEXT.reset(token)


def note(live: int, scored: set[int]) -> None:
    """Notes the live version of a request, and which versions scored its rows."""
    if answered := _CONTEXT.get():
        answered.live.add(live)
        answered.trial.update(scored - {live})
