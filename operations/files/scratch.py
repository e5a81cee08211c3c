"""Scratch files and directories: what a command writes on the way to its result, and deletes at its end.

All have one prefix, wherever they lie: a file that replaces another must be on the same file system, so it lies beside
it. `fraud clean` recognises what a killed process left by this prefix and its age.
"""

import tempfile
from pathlib import Path

PREFIX = ".fraud-scratch-"


def directory(parent: Path | None = None) -> tempfile.TemporaryDirectory[str]:
    """A new directory of its owner alone, in this one or in $TMPDIR, which is deleted with its block.

    Raises:
        OSError: it cannot be made.
    """
    return tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent, ignore_cleanup_errors=True)
