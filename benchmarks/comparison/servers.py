"""How each server is started: this service by `fraud up`, each peer as its documents have it (`benchmarks.peers`)."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.comparison import environments
from benchmarks.comparison.processes import ServerProgram
from benchmarks.comparison.versions import CONTRACT, MODEL, ROOT, ModelVersion
from operations.local.programs import free_ports
from operations.torchserve import java, launch
from operations.torchserve.launch import LOOPBACK, Ports

KEY = "bench-key"
PEERS = "benchmarks.peers"
WORKERS = 2
FORGOTTEN = ("API_KEY", "REDIS_URL", "HISTORY_KEY", "MODEL_PATH", "PYTHONPATH")
"""Of this process's environment: a server runs with its defaults, whatever is set here."""
HANDLER = ROOT / "benchmarks" / "peers" / "torchserve_handler.py"
TORCHSERVE_LABELS = {r"org\.pytorch\.serve": "JVM", "model_service_worker": "model workers", "torchserve": "launcher"}
OUR_LABELS = {
    r"-m gateway": "gateway",
    **TORCHSERVE_LABELS,
    "valkey": "Valkey",
    r"fraud up|operations": "fraud up",
}


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What a server is started with.

    Attributes:
        history: the version with history features.
        plain: the version without, which all peers serve.
        scratch: a directory of this start's own, empty.
    """

    history: ModelVersion
    plain: ModelVersion
    scratch: Path


Start = Callable[[ServerContext], Sequence[ServerProgram]]
"""The programs of a server; each has its port."""


def ours(version: Callable[[ServerContext], ModelVersion]) -> Start:
    """`fraud up` with a version that is trained and was never released, in a directory of its own."""

    def programs(context: ServerContext) -> Sequence[ServerProgram]:
        (port,) = free_ports(1)
        shutil.copytree(version(context).store, context.scratch / "model_store")
        (context.scratch / "examples").mkdir()
        shutil.copy(ROOT / "examples" / "transactions.csv", context.scratch / "examples")
        fraud = str(Path(sys.executable).with_name("fraud"))
        environment = server_environment(API_KEY=KEY)
        command = (fraud, "up", "--port", str(port))
        return [ServerProgram(command, environment, context.scratch, port, "/readyz", OUR_LABELS)]

    return programs


def fastapi(context: ServerContext) -> Sequence[ServerProgram]:
    """One process of uvicorn, with uvloop and httptools."""
    return [_uvicorn("fastapi_torch", context)]


def guide(context: ServerContext) -> Sequence[ServerProgram]:
    """FastAPI before a TorchServe as it comes."""
    torchserve = torchserve_as_it_comes(context)[0]
    url = f"http://{LOOPBACK}:{torchserve.port}/predictions/fraud"
    return [torchserve, _uvicorn("guide", context, INFERENCE_URL=url)]


def litserve(context: ServerContext) -> Sequence[ServerProgram]:
    """Its API server and one worker."""
    return [_module("litserve", "litserve_api", context, "/health")]


def ray(context: ServerContext) -> Sequence[ServerProgram]:
    """A local cluster, its proxy and one replica."""
    own = {"RAY_TMPDIR": _short(context), "RAY_USAGE_STATS_ENABLED": "0"}
    return [_module("ray", "ray_deployment", context, "/-/healthz", **own)]


def bentoml(context: ServerContext) -> Sequence[ServerProgram]:
    """Its two workers."""
    (port,) = free_ports(1)
    own = {"BENTOML_HOME": str(context.scratch), "BENTOML_DO_NOT_TRACK": "True", "PORT": str(port)}
    binary = str(environments.python("bentoml").with_name("bentoml"))
    command = (binary, "serve", f"{PEERS}.bentoml_service:FraudService", "--host", LOOPBACK, "--port", str(port))
    environment = server_environment(**own, **_model(context))
    return [ServerProgram(command, environment, ROOT, port, "/readyz", {"": "BentoML"})]


def mlserver(context: ServerContext) -> Sequence[ServerProgram]:
    """One process, in which requests are batched and scored."""
    http, grpc, metrics = free_ports(3)
    (context.scratch / "settings.json").write_text(
        f'{{"host": "{LOOPBACK}", "http_port": {http}, "grpc_port": {grpc}, "metrics_port": {metrics}, "debug": false, '
        '"parallel_workers": 0}'
    )
    (context.scratch / "model-settings.json").write_text(
        f'{{"name": "fraud", "implementation": "{PEERS}.mlserver_runtime.FraudRuntime", "max_batch_size": 32, '
        '"max_batch_time": 0.002}'
    )
    command = (str(environments.python("mlserver").with_name("mlserver")), "start", str(context.scratch))
    environment = server_environment(PYTHONPATH=str(ROOT), **_model(context))
    return [ServerProgram(command, environment, context.scratch, http, "/v2/health/ready", {"": "MLServer"})]


def torchserve_as_it_comes(context: ServerContext) -> Sequence[ServerProgram]:
    """Its launcher and its defaults, but for addresses and authorisation."""
    config = _addresses(ports := _ports(), _archive(context), "disable_token_authorization=true")
    file = context.scratch / "torchserve.properties"
    file.write_text(config)
    home = java.find_java(os.environ).parents[1]
    environment = server_environment(JAVA_HOME=str(home), TMPDIR=_short(context), TEMP=_short(context))
    launcher = str(Path(sys.executable).with_name("torchserve"))
    command = (launcher, "--start", "--foreground", "--ncs", "--ts-config", str(file))
    return [ServerProgram(command, environment, context.scratch, ports.inference, "/ping", TORCHSERVE_LABELS)]


def torchserve_tuned(context: ServerContext) -> Sequence[ServerProgram]:
    """As this service starts it, with the same JSON handler as above."""
    return [_tuned(context, _archive(context))]


def torchserve_frames(context: ServerContext) -> Sequence[ServerProgram]:
    """As this service starts it, with this service's own archive and handler: frames in, frames out."""
    store = context.scratch / "store"
    store.mkdir()
    shutil.copy(context.plain.archive, store / "fraud.mar")
    return [_tuned(context, store)]


def _tuned(context: ServerContext, store: Path) -> ServerProgram:
    ports = _ports()
    file, scratch = context.scratch / "torchserve.properties", Path(_short(context))
    loaded = "load_models=fraud.mar\n"
    file.write_text(launch.configuration(ports, store, workers=WORKERS) + loaded)
    launch.prepare_scratch(scratch)
    command = launch.command(java.find_java(os.environ), file, store, scratch)
    environment = launch.environment(server_environment(), scratch)
    return ServerProgram(command, environment, context.scratch, ports.inference, "/ping", TORCHSERVE_LABELS)


def _ports() -> Ports:
    return Ports(*free_ports(5))


def _addresses(ports: Ports, store: Path, *others: str) -> str:
    lines = [
        f"inference_address=http://{LOOPBACK}:{ports.inference}",
        f"management_address=http://{LOOPBACK}:{ports.management}",
        f"metrics_address=http://{LOOPBACK}:{ports.metrics}",
        f"grpc_inference_port={ports.grpc_inference}",
        f"grpc_management_port={ports.grpc_management}",
        f"model_store={store}",
        "load_models=fraud.mar",
        *others,
    ]
    return "\n".join(lines) + "\n"


def _archive(context: ServerContext) -> Path:
    """A model store with the JSON handler's archive of the version without history."""
    store, parts = context.scratch / "store", context.scratch / "parts"
    store.mkdir()
    shutil.copytree(ROOT / "contract", parts / "contract", ignore=shutil.ignore_patterns("__pycache__"))
    for file in (context.plain.unpacked / MODEL, context.plain.unpacked / CONTRACT, HANDLER.with_name("scorer.py")):
        shutil.copy(file, parts)
    archiver = [
        *(sys.executable, "-m", "model_archiver.model_packaging", "--model-name", "fraud", "--version", "1"),
        *("--handler", str(HANDLER), "--extra-files", str(parts), "--export-path", str(store)),
    ]
    subprocess.run(
        archiver, check=True, capture_output=True, timeout=120, env=server_environment(TMPDIR=str(context.scratch))
    )
    return store


def _uvicorn(module: str, context: ServerContext, **own: str) -> ServerProgram:
    (port,) = free_ports(1)
    command = (
        *(str(environments.python("fastapi")), "-m", "uvicorn", "--factory", f"{PEERS}.{module}:app"),
        *("--host", LOOPBACK, "--port", str(port), "--loop", "uvloop", "--http", "httptools"),
        *("--no-access-log", "--log-level", "warning"),
    )
    environment = server_environment(**own, **_model(context))
    return ServerProgram(command, environment, ROOT, port, "/ready", {"uvicorn": "FastAPI"})


def _module(name: str, module: str, context: ServerContext, ready_path: str, **own: str) -> ServerProgram:
    (port,) = free_ports(1)
    command = (str(environments.python(name)), "-m", f"{PEERS}.{module}")
    environment = server_environment(**own, PORT=str(port), PYTHONPATH=str(ROOT), **_model(context))
    return ServerProgram(command, environment, ROOT, port, ready_path, {"": name})


def _model(context: ServerContext) -> dict[str, str]:
    return {"MODEL_DIRECTORY": str(context.plain.unpacked)}


def _short(context: ServerContext) -> str:
    """A directory with a short path, since sockets lie below it."""
    directory = context.scratch / "t"
    directory.mkdir(exist_ok=True)
    return str(directory)


def server_environment(**own: str) -> Mapping[str, str]:
    """The environment of a server: this process's, without what would change its defaults, and its own."""
    return {name: value for name, value in os.environ.items() if name not in FORGOTTEN} | own
