"""Which process of a gateway does what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessCounts:
    """How many processes take connections, and how many serve large bodies; these have the last numbers."""

    serving: int
    large: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.serving + self.large

    def is_large(self, process: int) -> bool:
        """Whether the process with this number, from 1 on, serves large bodies."""
        return process > self.serving
