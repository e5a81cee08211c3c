"""A TorchServe that the keeper itself runs, for platforms where only one container reaches the disk."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from operations.keeper.endpoints_file import stack_endpoints_file
from operations.processes.supervisor import MARK, Program
from operations.settings import KeeperSettings
from operations.torchserve import container, launch
from operations.torchserve.endpoints import TorchServeEndpoint
from operations.torchserve.launch import LOOPBACK

EVERYWHERE = "0.0.0.0"  # noqa: S104 - compared, not bound


@contextmanager
def own_torchserve(settings: KeeperSettings) -> Iterator[tuple[Program, TorchServeEndpoint]]:
    """How to run it, and where it answers: management on the loopback alone, inference on INFERENCE_HOST.

    While the block lasts, `fraud release` and the like find it in the stack's file, as they find a local stack.

    Raises:
        OperationsError: it cannot be started so; says what to set.
    """
    directory = Path(tempfile.mkdtemp(prefix="fraud-"))
    endpoint = _endpoint(settings)
    try:
        program = _program(settings, directory / "ts")
        urls = {"management_url": endpoint.management, "inference_url": endpoint.inference}
        with stack_endpoints_file(settings, **urls):
            yield program, endpoint
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _program(settings: KeeperSettings, scratch: Path) -> Program:
    env = {name: value for name, value in settings.env.items() if name != "MANAGEMENT_HOST"}
    paths = {"MODEL_PATH": str(settings.paths.store), "VERIFIED_PATH": str(settings.paths.verified)}
    return Program(
        name="model server",
        command=container.prepare(env | paths, scratch),
        environment=launch.environment(env, scratch) | {MARK: secrets.token_hex(16)},  # `fraud clean` looks for it.
        directory=scratch.parent,
        log=settings.paths.logs / "torchserve.log",
        prepare=lambda: launch.prepare_scratch(scratch),
    )


def _endpoint(settings: KeeperSettings) -> TorchServeEndpoint:
    host = settings.env.get("INFERENCE_HOST") or LOOPBACK
    reachable_host = LOOPBACK if host == EVERYWHERE else host
    return TorchServeEndpoint(
        f"http://{LOOPBACK}:{container.PORTS.management}", f"http://{reachable_host}:{container.PORTS.inference}"
    )
