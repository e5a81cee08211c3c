"""What the local stack is made of: each program with its command, environment, directory and log."""

import secrets
import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from operations.errors import OperationsError
from operations.files import durable
from operations.local import valkey
from operations.processes.supervisor import Program
from operations.settings import StackSettings
from operations.torchserve import java, launch
from operations.torchserve.launch import LOOPBACK, Ports
from releases.record import FILE_NAME

HISTORY_KEY_BYTES = 32
DRAIN = 16.0
"""Seconds that the gateway gets to end: it drains for 15."""


@dataclass(frozen=True, slots=True)
class StackPlan:
    """One run: its programs, and where they answer.

    Attributes:
        valkey: None where REDIS_URL names one that runs elsewhere.
        history_key: what ids and entities are hashed with in Redis; a secret.
    """

    gateway: Program
    model_server: Program
    valkey: Program | None
    gateway_url: str
    inference_url: str
    management_url: str
    redis_url: str
    history_key: str


def plan(settings: StackSettings, scratch: Path) -> StackPlan:
    """Finds free ports, writes the configurations, and says what to run."""
    *torchserve_ports, redis_port = free_ports(6)
    ports = Ports(*torchserve_ports)
    database, redis_url = None, settings.redis_url
    key = settings.history_key or _load_or_create_history_key(settings.paths.history_key)
    if redis_url is None:
        file = settings.paths.run / "valkey.conf"
        redis_url = valkey.configure(file, settings.paths.valkey, redis_port, valkey.memory_of(settings.env))
        database = _valkey(settings, file)
    inference_url = f"http://{LOOPBACK}:{ports.inference}"
    return StackPlan(
        gateway=_gateway(settings, inference_url, redis_url, key),
        model_server=_model_server(settings, ports, scratch),
        valkey=database,
        gateway_url=f"http://{reachable(settings.host)}:{settings.port}",
        inference_url=inference_url,
        management_url=f"http://{LOOPBACK}:{ports.management}",
        redis_url=redis_url,
        history_key=key,
    )


def _load_or_create_history_key(file: Path) -> str:
    """The secret that ids and entities are hashed with in Redis; where there is none, a new one, which is kept.

    Without it what Redis remembers is unreachable, as if that disk were lost: docs/backup.md says how to keep a copy.

    Raises:
        OperationsError: the file is empty: a new secret would hide what Redis remembers.
    """
    if not file.exists():
        durable.write(file, f"{secrets.token_hex(HISTORY_KEY_BYTES)}\n".encode(), 0o600)
    text = file.read_text(encoding="utf-8").strip()
    if not text:
        raise OperationsError(f"{file} is empty: put the secret back from your copy, or delete it and begin anew")
    return text


def _gateway(settings: StackSettings, inference_url: str, redis_url: str, key: str) -> Program:
    paths = settings.paths
    chosen = {
        "API_KEY": settings.api_key,
        "HOST": settings.host,
        "PORT": str(settings.port),
        "MODEL_SERVER_URL": inference_url,
        "MODEL_NAME": launch.MODEL,
        "RELEASE_RECORD": str(paths.store / FILE_NAME),
        "REDIS_URL": redis_url,
        "HISTORY_KEY": key,
        "LOG_FILE": str(paths.logs / "gateway.jsonl"),
        "DRAIN_DELAY_SECONDS": "0",  # No balancer stands in front of it.
        "LOG_STREAM": "false",  # The file is rotated; what is left for the output is a failure to start.
    }
    return Program(
        name="gateway",
        command=(sys.executable, "-m", "gateway"),
        environment={**settings.env, **chosen},
        directory=paths.root,
        log=paths.logs / "gateway.log",
        kill_seconds=DRAIN,
    )


def _model_server(settings: StackSettings, ports: Ports, scratch: Path) -> Program:
    paths = settings.paths
    config = paths.run / "torchserve.properties"
    durable.write(config, launch.configuration(ports, paths.verified).encode(), 0o600)
    return Program(
        name="model server",
        command=launch.command(java.find_java(settings.env), config, paths.verified, scratch),
        environment=launch.environment(settings.env, scratch),
        directory=scratch.parent,
        log=paths.logs / "torchserve.log",
        prepare=lambda: launch.prepare_scratch(scratch),
    )


def _valkey(settings: StackSettings, file: Path) -> Program:
    paths = settings.paths
    # Its title would be written over its environment, and the mark of the stack with it.
    command = (*valkey.command(file), "--set-proc-title", "no")
    return Program("valkey", command, {}, paths.valkey, paths.logs / "valkey.log")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; all are held until all are found, so that they differ."""
    with ExitStack() as stack_sockets:
        sockets = [stack_sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def refuse_used_port(host: str, port: int) -> None:
    """Makes sure that the gateway will be able to listen.

    Raises:
        OperationsError: it will not.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror
            raise OperationsError(f"cannot listen on {host}:{port} ({reason}); try `--port {port + 100}`") from None


def reachable(host: str) -> str:
    """The address to call a server by that listens on this one."""
    host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{host}]" if ":" in host else host
