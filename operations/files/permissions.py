"""Modes: what `fraud` writes is its owner's alone, and so is what older releases left readable to everybody.

One place decides, the umask of the process, which the programs inherit that it starts: the gateway, TorchServe and its
workers, Valkey. Two directories are open on purpose: `var` may be passed through, though not listed, and `var/jobs`
read, since node_exporter, which is another user, takes how the last jobs ended from there.
"""

import os
from collections.abc import Iterator
from pathlib import Path

UMASK = 0o077
PASSED_THROUGH, READ_BY_ALL = 0o711, 0o755


def set_umask() -> None:
    """From now on; the first thing that a program does."""
    os.umask(UMASK)


def restrict_to_owner(directory: Path) -> None:
    """Takes from everybody else what lies in a directory, itself included; what belongs to others is left as it is."""
    for path in (directory, *_below(directory)):
        found = path.lstat()
        if found.st_mode & UMASK and found.st_uid == os.geteuid():
            path.chmod(found.st_mode & 0o7777 & ~UMASK)


def _below(directory: Path) -> Iterator[Path]:
    """Files and directories; where a link leads is not ours to change."""
    for root, directories, files in os.walk(directory):
        yield from (path for name in (*directories, *files) if not (path := Path(root) / name).is_symlink())
