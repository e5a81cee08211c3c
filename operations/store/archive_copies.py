"""Private copies of archives: the verified bytes are the ones used, whoever writes into the store meanwhile."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from operations.errors import OperationsError, in_words
from operations.files import plain_file, scratch

CHUNK = 1 << 20


class SourceUnreadable(OperationsError):
    """A file cannot be read."""


class CopyFailed(OperationsError):
    """A copy cannot be written, for a reason that is not the source's."""


@contextlib.contextmanager
def private_directory(directory: Path | None = None) -> Iterator[Path]:
    """A new directory that is this user's alone and goes with the block, in this one or among the temporary files.

    Raises:
        CopyFailed: it cannot be made.
    """
    try:
        temporary = scratch.directory(directory)
    except OSError as error:
        raise CopyFailed(f"no directory for a copy of the archive can be made: {in_words(error)}") from None
    with temporary as name:
        yield Path(name)


def copy(source: Path, target: Path, max_bytes: int) -> str:
    """Copies at most `max_bytes` of a regular file into a new one, reads each byte once, and returns their SHA-256.

    Raises:
        SourceUnreadable: the source cannot be read.
        CopyFailed: the copy cannot be written.
    """
    digest = hashlib.sha256()
    try:
        with target.open("xb") as written:
            for chunk in _read(source, max_bytes):
                digest.update(chunk)
                written.write(chunk)
    except OSError as error:
        raise CopyFailed(f"no copy of the archive can be written: {in_words(error)}") from None
    return digest.hexdigest()


def _read(source: Path, max_bytes: int) -> Iterator[bytes]:
    try:
        with plain_file.open_plain(source) as file:
            while max_bytes > 0 and (chunk := file.read(min(CHUNK, max_bytes))):
                max_bytes -= len(chunk)
                yield chunk
    except OSError as error:
        raise SourceUnreadable(in_words(error)) from None
