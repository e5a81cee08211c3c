"""File permissions: only the owner may read what `fraud` writes, and what older releases left readable to all.

The umask of the process decides, which the programs inherit that it starts: the gateway, TorchServe and its workers,
Valkey. Two directories are open on purpose: `var` may be traversed, though not listed, and `var/jobs` read, since
node_exporter, which runs as another user, reads the results of the last jobs there.
"""

import os
from pathlib import Path

UMASK = 0o077
PASSED_THROUGH, READ_BY_ALL = 0o711, 0o755


def set_umask() -> None:
    """Sets the umask; each program calls this first."""
    os.umask(UMASK)


def restrict_to_owner(directory: Path) -> None:
    """Removes the permissions of group and others from a directory and all below it that this user owns."""
    below = (Path(root) / name for root, folders, files in os.walk(directory) for name in (*folders, *files))
    for path in (directory, *(path for path in below if not path.is_symlink())):
        status = path.lstat()
        if status.st_mode & UMASK and status.st_uid == os.geteuid():
            path.chmod(status.st_mode & 0o7777 & ~UMASK)
