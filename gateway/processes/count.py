"""How many processes a gateway has, and what each may take.

Some take connections, others serve the large bodies that these pass on. A second one of the former on two processors
made 6% more answers: TorchServe, Redis and the callers use the rest. One of the latter keeps single transactions from
waiting while a large file is computed.
"""

from collections.abc import Iterator
from pathlib import Path

from environment.processors import CGROUP, memory_limit, physical_memory, usable_processors
from gateway.processes.roles import ProcessCounts
from gateway.settings import BASE_BYTES, MEGABYTE, SHARED_LIMITS, GatewaySettings

MOST = 8
LEAST_PROCESSORS = 4
"""For a second process that takes connections."""
SUPERVISOR_BYTES = 100 * MEGABYTE
"""For the process that starts the others, which takes 29 MB, and some room."""
SERVING_BYTES = 100 * MEGABYTE
"""`memory_bytes` of a process that passes large bodies on."""


def by_processors(cgroup: Path = CGROUP) -> ProcessCounts:
    """Half as many as processors take connections, for TorchServe needs them too; half of that serve large bodies."""
    processors = usable_processors(cgroup)
    serving = 1 if processors < LEAST_PROCESSORS else min(MOST, processors // 2)
    return ProcessCounts(serving, max(1, serving // 2) if processors > 1 else 0)


def process_counts(settings: GatewaySettings, cgroup: Path = CGROUP) -> ProcessCounts:
    """As many as the settings say; else by processors, by memory, and by the limits that all share."""
    candidates = list(_candidates(settings, by_processors(cgroup)))
    room = _room(cgroup)
    return next((each for each in candidates if _is_possible(settings, each, room)), candidates[-1])


def share(settings: GatewaySettings, counts: ProcessCounts, *, large: bool) -> GatewaySettings:
    """The settings of one process: its part of what is set, which is for all together.

    Bodies that are passed on take their memory and their slots where they are served.
    """
    parts = dict.fromkeys(SHARED_LIMITS, counts.large or counts.serving)
    parts["model_server_connections"] = counts.total
    shared = {
        name: max(1, getattr(settings, name) // parts[name]) for name in SHARED_LIMITS if settings.is_shared(name)
    }
    if counts.large and not large:
        shared["memory_bytes"] = SERVING_BYTES
    return settings.model_copy(update=shared)


def _candidates(settings: GatewaySettings, best: ProcessCounts) -> Iterator[ProcessCounts]:
    """From the best to the least."""
    serving, large = settings.gateway_processes, settings.large_body_processes
    for each in [serving] if serving else range(best.serving, 0, -1):
        for more in range(min(best.large, max(1, each // 2)), -1, -1) if large is None else [large]:
            yield ProcessCounts(each, more)


def _is_possible(settings: GatewaySettings, counts: ProcessCounts, room: int) -> bool:
    suffices = (
        counts.serving <= settings.most_processes if not counts.large else counts.large <= settings.most_processes
    )
    return (counts.total == 1 or _bytes(settings, counts) <= room) and suffices


def _bytes(settings: GatewaySettings, counts: ProcessCounts) -> int:
    """What they take with all that their settings allow them."""
    parts = [share(settings, counts, large=counts.is_large(each)).memory_bytes for each in range(1, counts.total + 1)]
    return SUPERVISOR_BYTES + counts.total * BASE_BYTES + sum(parts)


def _room(cgroup: Path) -> int:
    """The limit of a container, or half of a machine."""
    physical = physical_memory()
    limit = min(memory_limit(cgroup) or physical, physical)
    return limit if limit < physical else physical // 2
