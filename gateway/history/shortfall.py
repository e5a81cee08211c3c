"""Why history is not what it should be: the words of health and metrics."""

from enum import StrEnum


class IncompleteReason(StrEnum):
    """Why history is not what it should be."""

    UNAVAILABLE = "unavailable"
    LOADING = "loading"
    LOST = "lost"
    FULL = "full"
