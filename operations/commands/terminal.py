"""What every command needs: its directory, its environment, and a place to print."""

import os
from pathlib import Path

from rich.console import Console

from environment import secret_files
from environment.secret_files import SecretFileError
from operations import settings
from operations.errors import OperationsError
from operations.rollout import deployment
from operations.rollout.deployment import DeploymentTarget
from operations.settings import StatePaths


def environment() -> dict[str, str]:
    """The environment, with the secrets themselves where it names files of them.

    Raises:
        OperationsError: such a file cannot be read.
    """
    try:
        return secret_files.environment(os.environ)
    except SecretFileError as error:
        raise OperationsError(str(error)) from None


def paths() -> StatePaths:
    """Where this directory keeps what it runs with."""
    root = Path.cwd()
    store, _ = settings.model_path(os.environ, root)
    return StatePaths(root, store, settings.verified_path(os.environ, root, store))


def target() -> DeploymentTarget:
    """Where a release goes from this directory.

    Raises:
        OperationsError: nothing runs here, and the environment names nothing.
    """
    return deployment.find_target(paths(), environment())


def backups() -> str:
    """Where backups lie unless told otherwise."""
    return str(paths().root / "var" / "backups")


def console() -> Console:
    """For lines, which are not wrapped."""
    return Console(highlight=False, soft_wrap=True)


def page() -> Console:
    """For what is longer than a line: wrapped to the terminal, or to 80 columns where there is none."""
    return Console(highlight=False)


def write_line(text: str) -> None:
    """Prints what may hold anybody's words: brackets in it are no markup."""
    console().print(text, markup=False)
