"""How many workers each version gets. Needs only the standard library.

With one worker, all requests fail for 5 to 6 s when it dies; with two, none or one.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from operations.errors import OperationsError

DEFAULT, MOST = 2, 64
MEGABYTE = 1_000_000
JVM_BYTES, WORKER_BYTES = 600 * MEGABYTE, 250 * MEGABYTE
"""Measured: 140 to 310 MB with a heap of 512 MB at most, and 240 MB."""
LOADED_VERSIONS = 3
"""That are loaded at a time: the live one, the one before it, and one on trial."""


def configured_workers(env: Mapping[str, str]) -> int | None:
    """MODEL_WORKERS; None where it is not set.

    Raises:
        OperationsError: it is no such number.
    """
    if not (text := env.get("MODEL_WORKERS")):
        return None
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise OperationsError(f"MODEL_WORKERS={text} is no number from 1 to {MOST}")
    return int(text)


def default_workers(env: Mapping[str, str], devices: Path, cgroup: Path) -> int:
    """As many as GPUs, or as processors and memory allow; two at least, so that one may die.

    Args:
        env: the environment, for CUDA_VISIBLE_DEVICES.
        devices: where the operating system shows devices: /dev.
        cgroup: where it shows the bounds of this container: /sys/fs/cgroup.
    """
    if gpus := _gpus(env, devices):
        return max(DEFAULT, min(gpus, MOST))
    return max(DEFAULT, min(_processors(cgroup), _by_memory(cgroup), MOST))


def _gpus(env: Mapping[str, str], devices: Path) -> int:
    """Devices that the container was given, and of them those that CUDA_VISIBLE_DEVICES leaves."""
    given = len([path for path in devices.glob("nvidia*") if path.name.removeprefix("nvidia").isdecimal()])
    if (visible := env.get("CUDA_VISIBLE_DEVICES")) is None:
        return given
    return min(given, len([each for each in visible.split(",") if each.strip() not in ("", "-1")]))


def _processors(cgroup: Path) -> int:
    """As many as this process may use, by the quota of its container too."""
    allowed, quota = len(os.sched_getaffinity(0)), _quota(cgroup)
    return min(allowed, max(1, round(quota))) if quota else allowed


def _quota(cgroup: Path) -> float | None:
    """Processors by the CPU quota of a control group, of version 2 or 1; None where there is none."""
    both = _read(cgroup / "cpu.max").split()
    limit, period = both or [_read(cgroup / "cpu" / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    return int(limit) / int(period) if limit.isdecimal() else None


def _by_memory(cgroup: Path) -> int:
    """Workers for all versions that may be loaded, by the memory bound of a control group, of version 2 or 1."""
    limit = (_read(cgroup / "memory.max") or _read(cgroup / "memory" / "memory.limit_in_bytes")).strip()
    return (int(limit) - JVM_BYTES) // (LOADED_VERSIONS * WORKER_BYTES) if limit.isdecimal() else MOST


def _read(file: Path) -> str:
    """What stands in a file of the kernel; nothing where there is none."""
    try:
        return file.read_text()
    except OSError:
        return ""
