"""How glibc's allocator is set, so that memory goes back to the system after a large body.

By itself it keeps an arena for each thread, and holds buffers of up to 32 MB for the next: after a few batches of
20 MB an idle gateway kept 425 MB, set like this 222, and with the rest given back by hand after each large body less
(`python -m tests.gateway.crowd`). Other allocators are left as they are.
"""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""From glibc's malloc.h."""
SETTINGS = {M_ARENA_MAX: 2, M_MMAP_THRESHOLD: 262_144, M_TRIM_THRESHOLD: 1_048_576}


def set_up() -> None:
    """Takes few arenas, and gives large buffers back as soon as they are free; before any thread is started."""
    process = ctypes.CDLL(None)
    if hasattr(process, "mallopt"):
        for parameter, value in SETTINGS.items():
            process.mallopt(parameter, value)


def trim() -> None:
    """Gives the system what is free: some milliseconds, in which other threads go on."""
    process = ctypes.CDLL(None)
    if hasattr(process, "malloc_trim"):
        process.malloc_trim(0)
