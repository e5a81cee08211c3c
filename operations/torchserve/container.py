"""TorchServe as the one program of a container, as its environment says.

| variable | is | default |
|---|---|---|
| `MODEL_PATH` | the model store, whose release record the health check reads | `model_store` |
| `VERIFIED_PATH` | where releases put verified copies of archives; it is only read | `var/run/verified` |
| `INFERENCE_HOST`, `MANAGEMENT_HOST`, `METRICS_HOST` | names or addresses of this container to listen on | loopback |
| `MODEL_WORKERS` | of each version whose registration does not say | as many as fit (workers.py) |

Management is code execution. Where a container is on several networks, each name is of one of them, and the port is
open on that network alone. Nothing falls back to all addresses.
"""

import os
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from operations.errors import OperationsError
from operations.torchserve import java, launch, ready, workers
from operations.torchserve.launch import Hosts, Ports

PORTS = Ports(inference=8080, management=8081, metrics=8082, grpc_inference=7070, grpc_management=7071)
DEVICES, CGROUP = Path("/dev"), Path("/sys/fs/cgroup")


def exec_torchserve(env: Mapping[str, str]) -> None:
    """Replaces this process by the JVM: the container ends when the JVM does, however that ends.

    Raises:
        OperationsError: it cannot be started so; says what to set.
    """
    launch.own_directory(home := Path(tempfile.gettempdir()) / ready.HOME_DIRECTORY)
    scratch = home / "ts"
    command = prepare(env, scratch)
    scratch.with_name(ready.PID_FILE).write_text(str(os.getpid()))
    os.chdir(scratch)
    os.execve(command[0], command, launch.environment(env, scratch))  # noqa: S606 - no shell is wanted


def prepare(env: Mapping[str, str], scratch: Path) -> tuple[str, ...]:
    """Empties the scratch directory, writes the configuration beside it, and says what to run.

    Raises:
        OperationsError: it cannot be started so; says what to set.
    """
    store = Path(env.get("MODEL_PATH") or "model_store").absolute()
    if not store.is_dir():
        raise OperationsError(f"MODEL_PATH={store} is no directory: mount the model store there")
    verified = Path(env.get("VERIFIED_PATH") or "var/run/verified").absolute()
    if not verified.is_dir():
        raise OperationsError(
            f"VERIFIED_PATH={verified} is no directory: mount there what `fraud` writes verified copies to"
        )
    launch.prepare_scratch(scratch)
    count = workers.configured_workers(env) or workers.default_workers(env, DEVICES, CGROUP)
    config, hosts = scratch.with_name(f"{scratch.name}.properties"), _hosts(env)
    config.write_text(launch.configuration(PORTS, verified, hosts, count))
    scratch.with_name(ready.UNRESPONSIVE_FILE).unlink(missing_ok=True)
    scratch.with_name(ready.ADDRESS_FILE).write_text(f"http://{hosts.inference}:{PORTS.inference}")
    return launch.command(java.find_java(env), config, verified, scratch)


def _hosts(env: Mapping[str, str]) -> Hosts:
    names = ("inference", "management", "metrics")
    return Hosts(**{name: _own_address(env, f"{name.upper()}_HOST", getattr(PORTS, name)) for name in names})


def _own_address(env: Mapping[str, str], name: str, port: int) -> str:
    """The address of this container that a host name stands for; of several containers of that name, its own."""
    host = env.get(name) or launch.LOOPBACK
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)}
    except OSError:
        raise OperationsError(f"{name}={host} is no name that can be resolved here") from None
    if own := [address for address in sorted(addresses) if _is_ours(address, port)]:
        return own[0]
    raise OperationsError(f"{name}={host} is no address of this container, or its port {port} is taken")


def _is_ours(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
