"""What `fraud up` and `fraud keep` run with: their options, and the environment (API_KEY, MODEL_PATH, REDIS_URL ...).

Everything that a run writes lies under var/ and model_store/ of the directory that it is started in, so that two
clones know nothing of each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from contract.decision import ThresholdOverrides
from environment import secret_files
from history.keyed_hash import HistoryKey
from operations.errors import OperationsError
from operations.files import permissions
from operations.store.registry import Registry
from operations.torchserve import workers

DEFAULT_KEY = "test-key"
MIN_DRAIN_SECONDS = 15.0
"""A gateway follows the release record in 0.5 s and answers each request within 10 s by default."""
KEEPER_PORT = 8070
MAX_PORT = 65_535
DEFAULT_KNOWN_DAYS, MAX_KNOWN_DAYS = 30, 400
"""As in gateway/settings.py; a test compares them."""
SECRETS = frozenset(secret_files.NAMES)
"""What no program inherits that `fraud up` or `fraud keep` starts: whoever needs one is given it. A secret that was
read from its file would else stand in the environment of a process, where others can read it."""


@dataclass(frozen=True, slots=True)
class StatePaths:
    """Where one checkout keeps what it runs with.

    Attributes:
        verified_path: where verified copies go, if not into var/.
    """

    root: Path
    store: Path
    verified_path: Path | None = None

    @property
    def run(self) -> Path:
        """Lock, process ledger, addresses and configurations of the running stack."""
        return self.root / "var" / "run"

    @property
    def logs(self) -> Path:
        """One file for each program."""
        return self.root / "var" / "log"

    @property
    def valkey(self) -> Path:
        """Valkey's append-only file."""
        return self.root / "var" / "valkey"

    @property
    def history_key(self) -> Path:
        """The secret that ids and entities are hashed with in Redis, where HISTORY_KEY does not say it."""
        return self.root / "var" / "history.key"

    @property
    def stack(self) -> Path:
        """The running stack's addresses, for the commands that talk to it."""
        return self.run / "stack.json"

    @property
    def verified(self) -> Path:
        """What TorchServe loads from: the copy of an archive lies there from its verification until it is loaded."""
        return self.verified_path or self.run / "verified"

    @property
    def verdicts(self) -> Path:
        """What retraining found, one file for each version that it trained."""
        return self.root / "var" / "verdicts"

    @property
    def jobs(self) -> Path:
        """How the last run of each job ended; others may read it."""
        return self.root / "var" / "jobs"

    @property
    def sample(self) -> Path:
        """The file that the printed curl line uploads."""
        return self.root / "examples" / "transactions.csv"

    def prepare(self) -> None:
        """Makes the directories; what a run keeps is its owner's alone."""
        for directory in (self.run, self.logs, self.valkey, self.store):
            directory.mkdir(parents=True, exist_ok=True)
        self.run.chmod(0o700)
        self.verified.mkdir(mode=0o700, parents=True, exist_ok=True)

    def tighten_permissions(self) -> None:
        """Closes to others what an older release left open."""
        for directory in (*(self.root / "var").iterdir(), self.store):
            if directory != self.jobs:
                permissions.restrict_to_owner(directory)
        (self.root / "var").chmod(permissions.PASSED_THROUGH)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    """What it takes to keep model servers as the release record says.

    Attributes:
        redis_url: where gateways count what a trial does; None where no Redis is given.
        history_key: HISTORY_KEY, what ids and entities are hashed with there; None where it is not given. A secret.
        version: the version that MODEL_PATH asks for, if it names one archive.
        workers: of each model version; None leaves it to the model server.
        base_model: whether a model trained on simulated transactions may serve where no version can be loaded.
        alert_url: where alerts are posted, if anywhere; a secret.
        drain: seconds after which no request can be on a version that nobody wants any more.
        thresholds: what overrides the models' own decision thresholds.
        env: the environment that `fraud` was started with, but for secrets; it is handed on.
    """

    paths: StatePaths
    redis_url: str | None
    history_key: str | None
    version: int | None
    workers: int | None
    base_model: bool
    alert_url: str | None
    drain: float
    thresholds: ThresholdOverrides
    env: Mapping[str, str]

    @property
    def redis(self) -> Mapping[str, str] | None:
        """What a command's environment needs to use that Redis; None where there is none."""
        if self.redis_url is None:
            return None
        return {"REDIS_URL": self.redis_url} | ({"HISTORY_KEY": self.history_key} if self.history_key else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings(ControllerSettings):
    """One run of the whole system on one machine; without a `redis_url` it starts one."""

    host: str
    port: int
    api_key: str

    @property
    def is_default_key(self) -> bool:
        """Whether the key is the one that everybody knows."""
        return self.api_key == DEFAULT_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperSettings(ControllerSettings):
    """One keeper, whose pages are at `host`; without the URLs of model servers it runs one itself."""

    management_url: str | None
    inference_url: str | None
    host: str
    port: int


def stack_settings(host: str, port: int, env: Mapping[str, str], root: Path) -> StackSettings:
    """The settings of a run in a directory.

    Raises:
        OperationsError: the environment asks for something that is not there.
    """
    fields = _controller_fields(env, root, workers.configured_workers(env) or workers.DEFAULT)
    return StackSettings(**fields, host=host, port=port, api_key=env.get("API_KEY") or DEFAULT_KEY)


def keeper_settings(env: Mapping[str, str], root: Path, *, with_torchserve: bool = False) -> KeeperSettings:
    """The settings of a keeper in a directory, which runs a TorchServe itself or is told where the others are.

    Raises:
        OperationsError: the environment asks for something that is not there, or does not say what it must.
    """
    management, inference = (http_url(env, name) for name in ("MANAGEMENT_URL", "INFERENCE_URL"))
    if not with_torchserve and not (management and inference):
        raise OperationsError("set MANAGEMENT_URL and INFERENCE_URL to TorchServe's addresses, or --with-torchserve")
    port = env.get("KEEPER_PORT") or str(KEEPER_PORT)
    if not port.isdecimal() or not 1 <= int(port) <= MAX_PORT:
        raise OperationsError(f"KEEPER_PORT={port} is no port, which is a number from 1 to {MAX_PORT}")
    return KeeperSettings(
        **_controller_fields(env, root, workers.configured_workers(env)),
        management_url=None if with_torchserve else management,
        inference_url=None if with_torchserve else inference,
        host=env.get("KEEPER_HOST") or "127.0.0.1",
        port=int(port),
    )


def _controller_fields(env: Mapping[str, str], root: Path, count: int | None) -> dict[str, Any]:
    store, version = model_path(env, root)
    if key := env.get("HISTORY_KEY"):
        history_key_of(key)
    base_model = env.get("BASE_MODEL") or "false"
    if base_model not in ("true", "false"):
        raise OperationsError("BASE_MODEL is true or false")
    return {
        "paths": StatePaths(root, store, verified_path(env, root, store)),
        "redis_url": redis_url(env),
        "history_key": key or None,
        "version": version,
        "workers": count,
        "base_model": base_model == "true",
        "alert_url": http_url(env, "ALERT_URL"),
        "drain": _drain(env),
        "thresholds": thresholds(env),
        "env": {name: value for name, value in env.items() if name not in SECRETS},
    }


def model_path(env: Mapping[str, str], root: Path) -> tuple[Path, int | None]:
    """The model store, and the one version of it that MODEL_PATH names, if it names an archive."""
    path = (root / (env.get("MODEL_PATH") or "model_store")).absolute()
    if path.is_dir() or (path.suffix != ".mar" and not path.exists()):
        return path, None
    if path.suffix != ".mar":
        raise OperationsError(f"MODEL_PATH={path} is neither a directory nor a .mar archive")
    for entry in Registry(path.parent).entries():
        if entry.file == path.name:
            return path.parent, entry.version
    if not path.exists():
        raise OperationsError(f"MODEL_PATH={path} is no archive of a model store; `fraud train` makes one")
    missing = path.with_suffix(".json").name
    raise OperationsError(f"MODEL_PATH={path}: its entry file {missing} is missing; point MODEL_PATH at a model store")


def verified_path(env: Mapping[str, str], root: Path, store: Path) -> Path | None:
    """VERIFIED_PATH: where verified copies go for a TorchServe in another container; None where it is not set.

    Raises:
        OperationsError: it lies in the model store, where others may write.
    """
    if not (text := env.get("VERIFIED_PATH")):
        return None
    path = (root / text).absolute()
    if path.resolve().is_relative_to(store.resolve()):
        raise OperationsError(
            f"VERIFIED_PATH={path} lies in the model store, where others may write: name another place"
        )
    return path


def thresholds(env: Mapping[str, str]) -> ThresholdOverrides:
    """The decision thresholds that a deployment sets over its models' own.

    Raises:
        OperationsError: one of them is no probability.
    """
    names = ("REVIEW_THRESHOLD", "DECLINE_THRESHOLD")
    try:
        return ThresholdOverrides(*(float(text) if (text := env.get(name)) else None for name in names))
    except ValueError:
        raise OperationsError(f"{names[0]} and {names[1]} are probabilities, from 0 to 1") from None


def http_url(env: Mapping[str, str], name: str) -> str | None:
    """An address of the environment, which may be a secret and is not shown; None where it is not set.

    Raises:
        OperationsError: it is no http:// or https:// address.
    """
    text = env.get(name)
    return web_address(name, text) if text else None


def web_address(name: str, text: str) -> str:
    """The address that a setting of this name holds; it is not shown.

    Raises:
        OperationsError: it is no http:// or https:// address.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise OperationsError(f"{name} is no http:// or https:// address")
    return text


def redis_url(env: Mapping[str, str]) -> str | None:
    """The address of Redis, which no message may show: it may hold a password; None where none is set.

    Raises:
        OperationsError: it is no address of Redis.
    """
    url = env.get("REDIS_URL") or None
    if url and not url.startswith(("redis://", "rediss://", "unix://")):
        raise OperationsError("REDIS_URL is no redis://, rediss:// or unix:// address")
    return url


def history_key_of(text: str) -> HistoryKey:
    """What HISTORY_KEY holds.

    Raises:
        OperationsError: it names no secret; the text repeats nothing of it.
    """
    try:
        return HistoryKey.of(text)
    except ValueError as error:
        raise OperationsError(f"HISTORY_KEY: {error}") from None


def known_seconds(env: Mapping[str, str]) -> float:
    """How long a transaction is known by its id: KNOWN_DAYS, as the gateways have it.

    Raises:
        OperationsError: it is no number of days that they take.
    """
    text = env.get("KNOWN_DAYS") or str(DEFAULT_KNOWN_DAYS)
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 1 <= days <= MAX_KNOWN_DAYS:
        raise OperationsError(f"KNOWN_DAYS is a number of days, from 1 to {MAX_KNOWN_DAYS}")
    return days * 86_400


def _drain(env: Mapping[str, str]) -> float:
    """The gateway judges DEADLINE_SECONDS itself, when it starts; what is no number is its default here."""
    try:
        deadline = float(env.get("DEADLINE_SECONDS") or 0)
    except ValueError:
        deadline = 0.0
    return max(MIN_DRAIN_SECONDS, deadline + 5.0)
