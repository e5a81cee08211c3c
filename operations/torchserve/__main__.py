"""`python -m operations.torchserve`: TorchServe as the one program of a container."""

import os
import sys

from operations.errors import OperationsError
from operations.files import permissions
from operations.torchserve import container


def main() -> None:
    """Becomes the JVM, or says in one line why it cannot."""
    permissions.set_umask()
    try:
        container.exec_torchserve(os.environ)
    except (OperationsError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
