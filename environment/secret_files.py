"""Secrets as files: NAME_FILE=path stands for NAME, as Docker, Kubernetes and systemd hand secrets to a process.

An environment is inherited, listed and dumped; a mounted file is read once by the process that it is for. No text here
holds a secret, or the path either: whoever writes the secret itself behind NAME_FILE must not find it in a log.
"""

import os
from collections.abc import Mapping
from pathlib import Path

NAMES = ("API_KEY", "REDIS_URL", "HISTORY_KEY", "ALERT_URL")
"""The settings that are secret. LOG_FILE and other names that end alike are none of these."""
MOST_BYTES = 65_536
"""Largest file that is read; a secret is a line."""


class SecretFileError(ValueError):
    """A secret that cannot be had from its file; the text names the variable and the reason, and no value."""


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """The environment with each secret under its own name, and no NAME_FILE of one.

    Space around the content is left out. An empty file, as an empty NAME_FILE, is as if it were not set.

    Raises:
        SecretFileError: a file cannot be read or holds no secret, or NAME and its file say different things.
    """
    inside = dict(env)
    for name in NAMES:
        path = inside.pop(f"{name}_FILE", "")
        secret = _content(f"{name}_FILE", Path(path)) if path else ""
        if secret and inside.get(name, "").strip() not in ("", secret):
            raise SecretFileError(f"{name} and {name}_FILE are both set, and differ: set one of them")
        if secret:
            inside[name] = secret
    return inside


def _content(variable: str, path: Path) -> str:
    """The line in a file."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode().strip()
    except OSError as error:
        raise SecretFileError(f"{variable}: {_reason(path, error)}") from None
    except ValueError:  # No UTF-8, or a NUL in the path; its own text would repeat a part.
        raise SecretFileError(f"{variable}: it does not name a file of UTF-8 text") from None
    if len(text) > MOST_BYTES or not text.isprintable():
        raise SecretFileError(f"{variable}: the file that it names holds more than one line of text")
    return text


def _reason(path: Path, error: OSError) -> str:
    """Why a file could not be read, for a person who looks into a container for the first time."""
    if isinstance(error, PermissionError):
        return f"user {os.geteuid()} may not read the file that it names{_owner(path)}"
    if isinstance(error, FileNotFoundError):
        return "the file that it names is not there"
    if isinstance(error, IsADirectoryError):
        return "it names a directory; Docker makes one where the file to be mounted is missing"
    return f"the file that it names cannot be read ({error.strerror})"


def _owner(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:  # A directory above it is closed too.
        return ""
    return f", which belongs to user {found.st_uid} and has mode {found.st_mode & 0o777:04o}"
