"""How many processors and how much memory a process may use, by the bounds of its container too.

Needs only the standard library.
"""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Where a container sees the bounds of its control group."""


def usable_processors(cgroup: Path = CGROUP) -> int:
    """As many as this process may run on, and as its container has a quota of; one at least."""
    allowed, quota = len(os.sched_getaffinity(0)), _quota(cgroup)
    return min(allowed, max(1, round(quota))) if quota else allowed


def memory_limit(cgroup: Path = CGROUP) -> int | None:
    """Bytes that a control group, of version 2 or 1, may take; None, or more than there is, where it has no bound."""
    limit = (_read(cgroup / "memory.max") or _read(cgroup / "memory" / "memory.limit_in_bytes")).strip()
    return int(limit) if limit.isdecimal() else None


def physical_memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _quota(cgroup: Path) -> float | None:
    """Processors by the CPU quota of a control group, of version 2 or 1; None where there is none."""
    both = _read(cgroup / "cpu.max").split()
    limit, period = both or [_read(cgroup / "cpu" / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    return int(limit) / int(period) if limit.isdecimal() else None


def _read(file: Path) -> str:
    """What stands in a file of the kernel; nothing where there is none."""
    try:
        return file.read_text()
    except OSError:
        return ""
