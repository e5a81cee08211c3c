"""How glibc's allocator is set, so that memory goes back to the system after a large body.

By itself it keeps an arena for each thread, and holds buffers of up to 32 MB for the next: after a few batches of
20 MB an idle gateway kept 425 MB. With few arenas, and with what is free given back by hand after each large body, it
keeps 200 to 230. Buffers come from the arenas however large they are, up to 32 MB: those that are mapped one by one
have to be cleared page by page again each time, which took a fifth of a large file's time. Other allocators are left as
they are.
"""

import asyncio
import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""From glibc's malloc.h."""
SETTINGS = {M_ARENA_MAX: 2, M_MMAP_THRESHOLD: 33_554_432, M_TRIM_THRESHOLD: 1_048_576}

TRIM_BYTES = 1_000_000
"""After a body of more, and after an answer of more, free memory is given back."""


def set_up() -> None:
    """Takes few arenas, and maps no buffer by itself; before any thread is started."""
    process = ctypes.CDLL(None)
    if hasattr(process, "mallopt"):
        for parameter, value in SETTINGS.items():
            process.mallopt(parameter, value)


def trim() -> None:
    """Gives the system what is free: some milliseconds, in which other threads go on."""
    process = ctypes.CDLL(None)
    if hasattr(process, "malloc_trim"):
        process.malloc_trim(0)


def trim_in_thread() -> None:
    """The same in a thread, for which the event loop does not wait."""
    asyncio.get_running_loop().run_in_executor(None, trim)
