"""TorchServe as the one program of a container, as its environment says.

| variable | is | default |
|---|---|---|
| `MODEL_PATH` | the model store; it is only read | `model_store` |
| `INFERENCE_HOST`, `MANAGEMENT_HOST`, `METRICS_HOST` | names or addresses of this container to listen on | loopback |
| `MODEL_WORKERS` | of each version whose registration does not say | as many as GPUs, else processors; two at least |

Management is code execution. Where a container is on several networks, each name is of one of them, and the port is
open on that network alone. Nothing falls back to all addresses.
"""

import os
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from operations.errors import OperationsError
from operations.torchserve import java, launch, ready
from operations.torchserve.launch import Hosts, Ports

PORTS = Ports(inference=8080, management=8081, metrics=8082, grpc_inference=7070, grpc_management=7071)
FEWEST_WORKERS, MOST_WORKERS = 2, 64
"""With one worker, a worker that dies costs 5 to 6 s of every request; with two, none or one request."""
DEVICES = Path("/dev")


def become(outside: Mapping[str, str]) -> None:
    """Replaces this process by the JVM: the container ends when the JVM does, however that ends.

    Raises:
        OperationsError: it cannot be started so; says what to set.
    """
    scratch = Path(tempfile.gettempdir()) / "ts"
    command = prepare(outside, scratch)
    scratch.with_name(ready.PROCESS).write_text(str(os.getpid()))
    os.chdir(scratch)
    os.execve(command[0], command, launch.environment(outside, scratch))  # noqa: S606 - no shell is wanted


def prepare(outside: Mapping[str, str], scratch: Path) -> tuple[str, ...]:
    """Empties the scratch directory, writes the configuration beside it, and says what to run.

    Raises:
        OperationsError: it cannot be started so; says what to set.
    """
    store = Path(outside.get("MODEL_PATH") or "model_store").absolute()
    if not store.is_dir():
        raise OperationsError(f"MODEL_PATH={store} is no directory: mount the model store there")
    launch.clean(scratch)
    config = scratch.with_name(f"{scratch.name}.properties")
    config.write_text(launch.configuration(PORTS, store, _hosts(outside), workers(outside, DEVICES)))
    return launch.command(java.find(outside), config, store, scratch)


def workers(outside: Mapping[str, str], devices: Path) -> int:
    """How many workers a version gets: MODEL_WORKERS, or one for each GPU, or one for each processor; two at least.

    Raises:
        OperationsError: MODEL_WORKERS is no such number.
    """
    text = outside.get("MODEL_WORKERS") or str(max(FEWEST_WORKERS, _gpus(outside, devices) or _processors()))
    if not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise OperationsError(f"MODEL_WORKERS={text} is no number from 1 to {MOST_WORKERS}")
    return int(text)


def _gpus(outside: Mapping[str, str], devices: Path) -> int:
    """Devices that the container was given, and of them those that CUDA_VISIBLE_DEVICES leaves."""
    given = len([path for path in devices.glob("nvidia*") if path.name.removeprefix("nvidia").isdecimal()])
    if (visible := outside.get("CUDA_VISIBLE_DEVICES")) is None:
        return given
    return min(given, len([each for each in visible.split(",") if each.strip() not in ("", "-1")]))


def _processors() -> int:
    """As many as this process may use, by the quota of its container too."""
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(Path("/sys/fs/cgroup"))
    return min(allowed, max(1, round(quota)), MOST_WORKERS) if quota else min(allowed, MOST_WORKERS)


def _quota(cgroup: Path) -> float | None:
    """Processors by the CPU quota of a control group, of version 2 or 1; None where there is none."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit, period = ((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        except OSError:
            return None
    return int(limit) / int(period) if limit.strip().isdecimal() else None


def _hosts(outside: Mapping[str, str]) -> Hosts:
    return Hosts(
        inference=_own(outside, "INFERENCE_HOST", PORTS.inference),
        management=_own(outside, "MANAGEMENT_HOST", PORTS.management),
        metrics=_own(outside, "METRICS_HOST", PORTS.metrics),
    )


def _own(outside: Mapping[str, str], name: str, port: int) -> str:
    """The address of this container that a host name stands for; of several containers of that name, its own."""
    host = outside.get(name) or launch.LOOPBACK
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)}
    except OSError:
        raise OperationsError(f"{name}={host} is no name that can be resolved here") from None
    for address in sorted(found):
        if _is_ours(address, port):
            return address
    raise OperationsError(f"{name}={host} is no address of this container, or its port {port} is taken")


def _is_ours(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
