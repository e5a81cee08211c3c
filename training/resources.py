"""Threads and batch size by the resources of the machine."""

import math
import os
from pathlib import Path

import torch

from training.errors import TrainingError

MIN_BATCH, MAX_BATCH = 64, 2048
STEPS_PER_EPOCH = 150
"""What a batch is sized for, within its limits: small data gets small batches, so that it gets enough steps."""
SHARE_OF_A_STEP = 8
"""A step takes at most this fraction (one in ...) of the free memory."""
MAX_THREADS = 8
"""Steps are small: more threads wait for each other longer than they work."""
_LIMITS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
"""Of a control group, version 2 and version 1."""


def cores() -> int:
    """Cores that this process may use: no more than its control group lets it have."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _granted(Path("/sys/fs/cgroup/cpu.max"))))


def threads(requested: int) -> int:
    """The requested number, one for each core at most; 0 takes half of the cores, within MAX_THREADS.

    Half, so that who is served on the same cores is not held up. The threads sleep while they wait for each other
    (`training/__init__.py`); where OMP_WAIT_POLICY makes them spin, two took ten times as long as one (LOG.md).

    Raises:
        TrainingError: the number is negative.
    """
    if requested < 0:
        raise TrainingError("The number of threads cannot be negative.")
    return min(requested, cores()) if requested else max(1, min(MAX_THREADS, cores() // 2))


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device; of the machine's own memory no more than the control group leaves."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_free_on_machine(Path("/proc/meminfo")), _left_by_group(Path("/sys/fs/cgroup")))


def batch(rows: int, bytes_per_row: int, free: int) -> int:
    """Rows of a step, a power of two: few for small data, and what fits into the memory that is free."""
    requested = max(MIN_BATCH, min(MAX_BATCH, rows // STEPS_PER_EPOCH))
    fitting = max(MIN_BATCH, free // SHARE_OF_A_STEP // max(1, bytes_per_row))
    return min(1 << round(math.log2(requested)), 1 << int(math.log2(fitting)))


def _granted(path: Path) -> int:
    """Cores by the quota of a control group (version 2): microseconds in each period, and the period."""
    quota, _, period = path.read_text().strip().partition(" ") if path.exists() else ("max", "", "")
    return 1 << 16 if quota == "max" else int(quota) // int(period)


def _free_on_machine(path: Path) -> int:
    """MemAvailable on Linux; elsewhere half of the physical memory."""
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _left_by_group(group: Path) -> int:
    """Bytes until this process' control group reaches its limit; 2**62 without one."""
    for limit, used in _LIMITS:
        if (group / limit).exists() and (group / used).exists():
            most = (group / limit).read_text().strip()
            return 1 << 62 if most == "max" else max(0, int(most) - int((group / used).read_text()))
    return 1 << 62
