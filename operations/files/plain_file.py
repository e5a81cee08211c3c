"""Regular files, opened once: the open file stays the same one, whoever renames another to its path.

A directory that others write into can hold a symbolic link, a pipe that never ends, or a device under the expected
name. None of these is followed, waited for or read.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


def open_plain(path: Path) -> BufferedReader:
    """Opens a file to read its bytes.

    Raises:
        OSError: it cannot be read, or is a link, a directory, a pipe or a device.
    """
    try:
        # Without O_NONBLOCK, opening a pipe that nobody writes would wait for ever; a plain file is read the same.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link, which is not followed", str(path)) from None
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = os.strerror(errno.EISDIR) if stat.S_ISDIR(mode) else "it is no plain file"
        raise OSError(errno.EINVAL, kind, str(path))
    return os.fdopen(descriptor, "rb")


def read(path: Path, max_bytes: int) -> bytes:
    """All bytes of a file that has at most `max_bytes`.

    Raises:
        OSError: as :func:`open_plain`, or it is larger.
    """
    with open_plain(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data
