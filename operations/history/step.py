"""What a step of a load is: one call of the script ENTER, with what it takes to make it. No I/O."""

from typing import Protocol

from history.redis_schema import Argument
from history.session import Reply

Arguments = tuple[Argument, ...]


class Step(Protocol):
    """A part of a load that is done at once."""

    def looks(self) -> Arguments | None:
        """The arguments of a call to make before; None where none is needed."""

    def take_looks(self, reply: Reply) -> None:
        """Takes the reply."""

    def entry(self) -> Arguments:
        """The arguments of the call that writes, without those of progress."""

    def take(self, reply: Reply) -> bool:
        """Takes the reply; False where nothing was written, and :meth:`entry` has other arguments now."""

    @property
    def known(self) -> int:
        """Transactions that counted already, in some state at least; told once the step is done."""

    @property
    def doubted(self) -> int:
        """Those of them of which nobody knows where they count: nothing was added of these."""
