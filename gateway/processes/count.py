"""How many processes a gateway has.

A second process on two processors made 6% more answers: TorchServe, Redis and the callers use the rest.
"""

from pathlib import Path

from environment.processors import CGROUP, memory_limit, physical_memory, usable_processors
from gateway.settings import BASE_BYTES, MEGABYTE, GatewaySettings

MOST = 8
LEAST_PROCESSORS = 4
"""For a second process; with fewer there is one."""
SUPERVISOR_BYTES = 100 * MEGABYTE
"""What the process takes that starts the others: 60 MB."""


def by_processors(cgroup: Path = CGROUP) -> int:
    """Half as many as processors, which TorchServe needs too."""
    processors = usable_processors(cgroup)
    return 1 if processors < LEAST_PROCESSORS else min(MOST, processors // 2)


def process_count(settings: GatewaySettings, cgroup: Path = CGROUP) -> int:
    """As many as the settings say; else by processors, by memory, and by the limits that all share."""
    if settings.gateway_processes is not None:
        return settings.gateway_processes
    return max(1, min(by_processors(cgroup), settings.most_processes, _by_memory(settings, cgroup)))


def _by_memory(settings: GatewaySettings, cgroup: Path) -> int:
    """As many as fit into a container, or into half of a machine, with all that their settings allow them."""
    physical = physical_memory()
    limit = min(memory_limit(cgroup) or physical, physical)
    room = (limit if limit < physical else physical // 2) - SUPERVISOR_BYTES
    if settings.is_shared("memory_bytes"):
        return (room - settings.memory_bytes) // BASE_BYTES
    return room // (BASE_BYTES + settings.memory_bytes)
