"""Why history is incomplete: the words of /health and of metrics."""

from enum import StrEnum


class IncompleteReason(StrEnum):
    """Why a request has less history than it should."""

    UNAVAILABLE = "unavailable"
    LOADING = "loading"
    LOST = "lost"
    FULL = "full"
