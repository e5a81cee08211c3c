"""How many workers each version gets. Needs only the standard library.

With one worker, all requests fail for 5 to 6 s when it dies; with two, none or one.
"""

from collections.abc import Mapping
from pathlib import Path

from environment.processors import memory_limit, usable_processors
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
    return max(DEFAULT, min(usable_processors(cgroup), _by_memory(cgroup), MOST))


def _gpus(env: Mapping[str, str], devices: Path) -> int:
    """Devices that the container was given, and of them those that CUDA_VISIBLE_DEVICES leaves."""
    given = len([path for path in devices.glob("nvidia*") if path.name.removeprefix("nvidia").isdecimal()])
    if (visible := env.get("CUDA_VISIBLE_DEVICES")) is None:
        return given
    return min(given, len([each for each in visible.split(",") if each.strip() not in ("", "-1")]))


def _by_memory(cgroup: Path) -> int:
    """Workers for all versions that may be loaded, by the memory that this container may take."""
    limit = memory_limit(cgroup)
    return MOST if limit is None else (limit - JVM_BYTES) // (LOADED_VERSIONS * WORKER_BYTES)
