"""A real Valkey for one test: in a private directory, on a free port, ended by its own id."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from redis import Redis
from redis.exceptions import RedisError

from operations.local import valkey
from tests.timeouts import WAIT_SECONDS


class Valkey:
    """One that can be killed and started again at the same address."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self._directory = directory
        self._file = directory / "valkey.conf"
        self.url = valkey.configure(self._file, directory, port)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it answers."""
        with (self._directory / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen(valkey.command(self._file), stdout=log, stderr=log)
        until = time.monotonic() + WAIT_SECONDS
        while not self._answers():
            assert time.monotonic() < until, (self._directory / "valkey.log").read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """Ends it by kill -9, if it runs."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        """Whether it answers itself: on a port that was lost to another one, that one would."""
        assert self._process, "it was not started"
        assert self._process.poll() is None, (self._directory / "valkey.log").read_text()
        with contextlib.suppress(RedisError, OSError), contextlib.closing(self.client()) as client:
            return bool(cast("dict[str, Any]", client.info("server"))["process_id"] == self._process.pid)
        return False

    def client(self) -> Redis:
        """A client of it."""
        return Redis.from_url(self.url, decode_responses=True, socket_timeout=5.0, retry=None)


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Valkey]:
    """One that runs while the block does."""
    it = Valkey(directory)
    try:
        it.start()
        yield it
    finally:
        it.kill()


def dump(client: Redis) -> Iterator[bytes]:
    """Every key, and all that it holds."""
    for name in client.scan_iter(count=1_000):
        yield name
        kind: Any = client.type(name)
        if kind == b"hash":
            fields: Any = client.hgetall(name)
            yield from (part for pair in fields.items() for part in pair)
        else:
            found: Any = client.get(name) if kind == b"string" else client.zrange(name, 0, -1)
            yield from [found] if isinstance(found, bytes) else found
