"""How TorchServe is started: its configuration, command line and environment. It needs the standard library alone."""

import contextlib
import os
import re
import shutil
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from operations.errors import OperationsError

MODEL = "fraud"
LOOPBACK = "127.0.0.1"
HANDLERS = Path(__file__).parents[2] / "handlers"
"""Where the fixed part of TorchServe's configuration lies, beside the handler."""
JVM = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    # With two processors the JDK otherwise starts a thread for each request.
    "-Djava.util.concurrent.ForkJoinPool.common.parallelism=2",
)
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|REDIS_URL|ALERT_URL")
LONGEST_SOCKET_PATH = 100
"""A worker's socket is a file in the scratch directory; its path may have 108 bytes at most on Linux, 104 elsewhere."""


@dataclass(frozen=True, slots=True)
class Ports:
    """TorchServe's ports; all must be set, or two instances on one machine collide."""

    inference: int
    management: int
    metrics: int
    grpc_inference: int
    grpc_management: int


@dataclass(frozen=True, slots=True)
class Hosts:
    """The addresses that TorchServe listens on; one that others shall not reach is the loopback."""

    inference: str = LOOPBACK
    management: str = LOOPBACK
    metrics: str = LOOPBACK


def configuration(ports: Ports, verified: Path, hosts: Hosts = Hosts(), workers: int | None = None) -> str:
    """The whole config.properties: the fixed part, and this instance's addresses.

    `verified` is the directory that it loads from: copies of archives that were verified, and no other files.
    `workers` is what a version gets whose registration does not say.
    """
    fixed = (HANDLERS / "torchserve.properties").read_text()
    return fixed + "\n".join(
        [
            "",
            f"inference_address=http://{hosts.inference}:{ports.inference}",
            f"management_address=http://{hosts.management}:{ports.management}",
            f"metrics_address=http://{hosts.metrics}:{ports.metrics}",
            f"grpc_inference_address={LOOPBACK}",
            f"grpc_management_address={LOOPBACK}",
            f"grpc_inference_port={ports.grpc_inference}",
            f"grpc_management_port={ports.grpc_management}",
            "initial_worker_port=9000",  # Names of socket files in the scratch directory, on Linux no ports.
            f"model_store={verified}",
            *([f"default_workers_per_model={workers}"] if workers else []),
            "",
        ]
    )


def command(java: Path, config: Path, verified: Path, scratch: Path) -> tuple[str, ...]:
    """Starts the JVM itself, as `torchserve --foreground` would, without the Python process that waits for it."""
    home = _wheel()
    return (
        *(str(java), f"-Dmodel_server_home={home}", f"-Djava.io.tmpdir={scratch}"),
        f"-Dlog4j.configurationFile=file://{HANDLERS / 'log4j2.xml'}",
        *JVM,
        *("-cp", str(home / "ts" / "frontend" / "*"), "org.pytorch.serve.ModelServer"),
        *("--python", sys.executable, "-f", str(config), "-s", str(verified), "-ncs"),
    )


def _wheel() -> Path:
    spec = find_spec("ts")
    if not spec or not spec.origin:
        raise OperationsError("TorchServe is not installed: `pip install torchserve==0.12.0`")
    return Path(spec.origin).parents[1]


def environment(env: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """What the JVM and its workers may see: no secret, no PYTHONPATH before the archive's own modules.

    CUDA_VISIBLE_DEVICES and the like pass. One thread a worker: the workers are the parallelism.
    """
    passed = {name: value for name, value in env.items() if not SECRET.search(name) and name != "PYTHONPATH"}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return passed | threads | {"TMPDIR": str(scratch), "TEMP": str(scratch)}


def own_directory(directory: Path) -> None:
    """Makes a directory that is this user's alone, or takes one that is.

    Raises:
        OperationsError: somebody else has made it, and could replace what is put there.
    """
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise OperationsError(
            f"{directory} is no directory of user {os.geteuid()}: delete it, or set TMPDIR to another"
        )
    directory.chmod(0o700)


def prepare_scratch(scratch: Path) -> None:
    """Empties the scratch directory: unpacked archives and sockets of an earlier run stay behind in it."""
    shutil.rmtree(scratch, ignore_errors=True)
    own_directory(scratch)
    if len(os.fsencode(scratch)) > LONGEST_SOCKET_PATH - len("/.ts.sock.90000"):
        raise OperationsError(f"the path {scratch} is too long for sockets; set TMPDIR to a short one")
