"""What a release goes to: model servers, the model store that they load from, and the lock that a release takes.

A command finds it by MANAGEMENT_URL, INFERENCE_URL and GATEWAY_URL, or else by var/run/stack.json. The names in these
URLs may stand for several addresses: a release then goes to every model server, and waits for every gateway.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from contract.decision import NO_OVERRIDES, ThresholdOverrides
from operations.errors import OperationsError
from operations.files import durable
from operations.network.endpoints import find_redis_url, stack_endpoints
from operations.settings import MIN_DRAIN_SECONDS, StatePaths, http_url, thresholds
from operations.store.registry import Registry
from operations.torchserve import endpoints, workers
from operations.torchserve.client import TorchServeClient
from releases.record import FILE_NAME

Say = Callable[[str], None]
"""Takes a message for a person."""
ADDRESSES = ("MANAGEMENT_URL", "INFERENCE_URL", "GATEWAY_URL")


@dataclass(frozen=True, slots=True)
class DeploymentTarget:
    """Where a release goes.

    Attributes:
        verified: the directory that the model servers load from; who may write the store must not be able to write it.
        server: the model server; of several, the first.
        workers: how many each version gets; None leaves it to the model server.
        redis_url: where gateways count what a trial does; None where there is no Redis.
        drain: seconds after which no request can be on a version that the release record does not name.
        thresholds: what the gateways decide by instead of the model cards' own.
        others: further model servers, which are to hold what the first does.
    """

    registry: Registry
    verified: Path
    server: TorchServeClient
    workers: int | None
    redis_url: str | None = None
    drain: float = MIN_DRAIN_SECONDS
    thresholds: ThresholdOverrides = NO_OVERRIDES
    others: tuple[TorchServeClient, ...] = ()
    gateway_url: str | None = None

    @property
    def single_servers(self) -> list["DeploymentTarget"]:
        """One target for each model server by itself."""
        return [replace(self, server=server, others=()) for server in (self.server, *self.others)]

    @property
    def store(self) -> Path:
        """The model store."""
        return self.registry.root

    @property
    def record_path(self) -> Path:
        """The release record's file."""
        return self.store / FILE_NAME


def release_lock(target: DeploymentTarget, timeout: float = 0.0) -> contextlib.AbstractContextManager[None]:
    """Holds the lock under which alone versions are registered and deleted; waits for it for `timeout` seconds.

    Raises:
        LockHeld: another process holds it.
    """
    refusal = "another release is running, or the live version is being loaded again; try again when it is done"
    return durable.locked(target.store / ".release.lock", refusal, timeout)


def find_target(paths: StatePaths, env: Mapping[str, str]) -> DeploymentTarget:
    """What runs here, or what the environment names.

    Raises:
        OperationsError: no stack runs here, and the environment names none, or what is no address; or MODEL_PATH is not
            the stack's.
    """
    stack = stack_endpoints(paths, env)
    management, inference, gateway = (http_url(env, name) or stack.get(name.lower()) for name in ADDRESSES)
    if not management or not inference:
        raise OperationsError("nothing runs here: start `fraud up`, or set MANAGEMENT_URL and INFERENCE_URL")
    own_workers = stack.get("workers")  # A server that only the environment names has a number of its own.
    server, *others = (endpoint.server() for endpoint in endpoints.resolve_endpoints(str(management), str(inference)))
    return DeploymentTarget(
        registry=Registry(_store(paths, env, stack.get("store"))),
        verified=Path(str(stack.get("verified") or paths.verified)),
        server=server,
        workers=workers.configured_workers(env) or (own_workers if isinstance(own_workers, int) else None),
        redis_url=find_redis_url(paths, env),
        thresholds=_thresholds(stack, env),
        others=tuple(others),
        gateway_url=str(gateway) if gateway else None,
    )


def _thresholds(stack: Mapping[str, object], env: Mapping[str, str]) -> ThresholdOverrides:
    """The running stack's, whatever this shell has; where there is none, this shell's."""
    overrides = stack.get("thresholds")
    return ThresholdOverrides(**overrides) if isinstance(overrides, dict) and overrides else thresholds(env)


def _store(paths: StatePaths, env: Mapping[str, str], running: object) -> Path:
    """The running stack's store where there is one; MODEL_PATH may repeat it, but not name another."""
    if not running:
        return paths.store
    store = Path(str(running))
    if env.get("MODEL_PATH") and paths.store.resolve() != store.resolve():
        raise OperationsError(f"the stack that runs here loads from {store}; MODEL_PATH names {paths.store}: unset it")
    return store
