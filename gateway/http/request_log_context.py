"""What the log line of a request says beside its status: which model versions answered it.

Whoever checks a release reads it there.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RequestLogContext:
    """Versions that answered: a batch during which the live version changes may have several."""

    live: set[int] = field(default_factory=set)
    trial: set[int] = field(default_factory=set)

    def fields(self) -> dict[str, int | list[int]]:
        """Fields of the log line: a number, or a sorted list of several; none where no version answered."""
        fields = {"model_version": sorted(self.live), "trial_version": sorted(self.trial)}
        return {name: versions[0] if len(versions) == 1 else versions for name, versions in fields.items() if versions}


_CONTEXT: ContextVar[RequestLogContext | None] = ContextVar("request_log_context", default=None)


@contextmanager
def request_log_context() -> Iterator[RequestLogContext]:
    """Collects what :func:`add_versions` adds inside, in tasks that are started there too."""
    context = RequestLogContext()
    token = _CONTEXT.set(context)
    try:
        yield context
    finally:
        _CONTEXT.reset(token)


def add_versions(live: int, scored: Collection[int]) -> None:
    """Adds the live version of a request, and the versions that scored its rows."""
    if context := _CONTEXT.get():
        context.live.add(live)
        context.trial.update(version for version in scored if version != live)
