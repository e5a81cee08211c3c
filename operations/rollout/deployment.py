"""How a command finds what runs: by MANAGEMENT_URL, INFERENCE_URL and GATEWAY_URL, or else by var/run/stack.json.

The names in these URLs may stand for several addresses: a release then goes to every model server, and waits for every
gateway.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.decision import NO_OVERRIDES, ThresholdOverrides
from operations.errors import OperationsError
from operations.network.endpoints import addresses, redis_of
from operations.rollout.loading import DeploymentTarget
from operations.settings import StatePaths, http_url, thresholds
from operations.store.registry import Registry
from operations.torchserve import fleet, workers
from operations.torchserve.client import TorchServeClient

ADDRESSES = ("MANAGEMENT_URL", "INFERENCE_URL", "GATEWAY_URL")


@dataclass(frozen=True, slots=True)
class RunningDeployment:
    """A model server that runs, or several that hold the same.

    Attributes:
        server: the model server; of several, the first.
        workers: how many each of its versions gets; None leaves it to the model server.
        store: the model store that holds what it is to load.
        verified: the directory that it loads from: it is told the bare names of copies in there.
        gateway_url: of the gateways; None where nothing says.
        redis_url: where gateways count what a trial does; None where there is none.
        thresholds: what overrides the models' own decision thresholds in its gateway.
        others: the other model servers.
    """

    server: TorchServeClient
    workers: int | None
    store: Path
    verified: Path
    gateway_url: str | None
    redis_url: str | None
    thresholds: ThresholdOverrides = NO_OVERRIDES
    others: tuple[TorchServeClient, ...] = ()

    @property
    def place(self) -> DeploymentTarget:
        """Where to release to."""
        return DeploymentTarget(
            registry=Registry(self.store),
            verified=self.verified,
            server=self.server,
            workers=self.workers,
            redis_url=self.redis_url,
            thresholds=self.thresholds,
            others=self.others,
        )


def find_deployment(paths: StatePaths, env: Mapping[str, str]) -> RunningDeployment:
    """What to talk to.

    Raises:
        OperationsError: no stack runs here, and the environment names none, or what is no address; or MODEL_PATH is not
            the stack's.
    """
    fields = addresses(paths, env)
    management, inference, gateway = (http_url(env, name) or fields.get(name.lower()) for name in ADDRESSES)
    if not management or not inference:
        raise OperationsError("nothing runs here: start `fraud up`, or set MANAGEMENT_URL and INFERENCE_URL")
    server, *others = (member.server() for member in fleet.endpoints(str(management), str(inference)))
    return RunningDeployment(
        server=server,
        workers=_workers(fields, env),
        store=_store(paths, env, fields.get("store")),
        verified=Path(str(fields.get("verified") or paths.verified)),
        gateway_url=str(gateway) if gateway else None,
        redis_url=redis_of(paths, env),
        thresholds=_thresholds(fields, env),
        others=tuple(others),
    )


def _workers(fields: Mapping[str, object], env: Mapping[str, str]) -> int | None:
    """MODEL_WORKERS, or the running stack's; a server that only the environment names has a number of its own."""
    found = fields.get("workers")
    return workers.configured_workers(env) or (found if isinstance(found, int) else None)


def _thresholds(fields: Mapping[str, object], env: Mapping[str, str]) -> ThresholdOverrides:
    """The running stack's, whatever this shell has; where there is none, this shell's."""
    found = fields.get("thresholds")
    return ThresholdOverrides(**found) if isinstance(found, dict) and found else thresholds(env)


def _store(paths: StatePaths, env: Mapping[str, str], running: object) -> Path:
    """The running stack's store where there is one; MODEL_PATH may repeat it, but not name another."""
    if not running:
        return paths.store
    store = Path(str(running))
    if env.get("MODEL_PATH") and paths.store.resolve() != store.resolve():
        raise OperationsError(f"the stack that runs here loads from {store}; MODEL_PATH names {paths.store}: unset it")
    return store
