"""The settings of one deployment; every setting is an environment variable of the same name in capitals."""

import os
import sys
from pathlib import Path
from typing import Self

from pydantic import Field, HttpUrl, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from redis.asyncio.connection import parse_url

from contract.decision import DecisionBands, ThresholdOverrides
from environment.secret_files import NAMES, SecretFileError, environment
from history.keyed_hash import UNKEYED, HistoryKey
from history.session import HistoryOptions

MEGABYTE = 1_000_000
BASE_BYTES = 270 * MEGABYTE
"""What a gateway takes beside `memory_bytes`: 124 MB when it is idle (a part is code that several share), the rest for
small and medium bodies and connections."""
SCORING_FACTOR = 20
"""Bytes of memory for each byte that is scored: 17 to 21 for the shortest rows (`python -m tests.gateway.crowd`)."""
DRAIN_SECONDS = 15
"""For requests that were taken, counted from when no more are."""
MAX_PROCESSES = 64
SHARED_LIMITS = ("memory_bytes", "upload_slots", "model_server_connections")


class GatewaySettings(BaseSettings):
    """The gateway's settings.

    Attributes:
        api_key: accepted keys, separated by commas, so that a key can be changed without a gap.
        model_server_url: TorchServe's inference address.
        model_name: the model's name in TorchServe.
        release_record: what names the live version: a file, or an http:// or https:// address that serves one.
        redis_url: where Redis is; None runs without it.
        history_key: the secret that ids and entities are hashed with in Redis; with a Redis there must be one. Several
            with commas between, the newest last, once it was changed.
        log_stream: JSON lines go to the standard output.
        log_file: JSON lines go to this file too; rotated at 50 MB, five kept.
        max_upload_bytes: largest file, and largest body of all routes but the batch.
        max_batch_bytes: largest body of a batch.
        max_batch_files: most files in a batch.
        max_transactions: most transactions in one JSON body.
        gateway_processes: that take connections; None decides by processors and memory. What is set of memory_bytes,
            upload_slots and model_server_connections is shared by all; what is not set, each has.
        large_body_processes: that serve the bodies over 262,144 bytes of all connections; 0 serves them where they
            arrive; None decides by processors and memory.
        memory_bytes: what bodies, their scoring and their answers may take together, beyond what an idle gateway takes.
        upload_slots: large bodies that are scored at a time: a second one takes the interpreter's lock from the first,
            and all of them a third to two thirds more time.
        slot_seconds: for how long a whole body waits for its turn, the oldest first, before it is answered 503.
        read_seconds: a body that takes longer to arrive is given up.
        stall_seconds: a body of which nothing arrives for this long is given up.
        least_rate: a body that arrives at fewer bytes a second is given up, after stall_seconds.
        deadline_seconds: from the moment that a whole body has its turn to the answer.
        block_rows: rows in one request to the model server; fewer while others wait for a few.
        model_server_connections: requests to the model server at a time.
        follow_seconds: how often the release record is read.
        drain_delay_seconds: from SIGTERM, how long requests are still taken while /readyz says that this gateway ends:
            the time that a load balancer needs to notice. Requests that were taken get 15 s more.
        history: whether transactions are remembered in Redis, for the history of those that follow.
        known_days: how long one is known by its id: not counted again, and found by its label.
        values_hours: how long a repeat gets the history values that it got the first time.
        history_timeout_seconds: after this long without an answer from Redis history is neutral.
        review_threshold: overrides the model's own.
        decline_threshold: overrides the model's own.
    """

    model_config = SettingsConfigDict(
        hide_input_in_errors=True,  # An error would repeat the key.
        env_ignore_empty=True,  # `${REDIS_URL:-}` in a compose file means that there is none.
    )

    api_key: SecretStr
    host: str = "127.0.0.1"
    port: int = 8000
    model_server_url: str = "http://127.0.0.1:8080"
    model_name: str = "fraud"
    release_record: Path | HttpUrl = Path("model_store/release.json")
    redis_url: str | None = Field(None, pattern=r"^(redis|rediss|unix)://")
    history_key: SecretStr | None = Field(None, validate_default=True)
    log_stream: bool = True
    log_file: Path | None = None
    max_upload_bytes: int = Field(10 * MEGABYTE, gt=0)
    max_batch_bytes: int = Field(20 * MEGABYTE, gt=0)
    max_batch_files: int = Field(20, gt=0)
    max_transactions: int = Field(10_000, gt=0)
    gateway_processes: int | None = Field(None, ge=1, le=MAX_PROCESSES)
    large_body_processes: int | None = Field(None, ge=0, le=MAX_PROCESSES)
    memory_bytes: int = Field(750 * MEGABYTE, gt=0)
    upload_slots: int = Field(1, gt=0)
    slot_seconds: float = Field(30.0, gt=0)
    read_seconds: float = Field(30.0, gt=0)
    stall_seconds: float = Field(10.0, gt=0)
    least_rate: float = Field(1000.0, gt=0)
    deadline_seconds: float = Field(10.0, gt=0)
    block_rows: int = Field(8192, gt=0)
    model_server_connections: int = Field(4, gt=0)
    follow_seconds: float = Field(0.5, gt=0)
    drain_delay_seconds: float = Field(0.0, ge=0, le=300)
    history: bool = True
    known_days: float = Field(30.0, ge=1, le=400)
    values_hours: float = Field(24.0, gt=0, le=9600)
    history_timeout_seconds: float = Field(1.0, gt=0)
    review_threshold: float | None = Field(None, ge=0, le=1)
    decline_threshold: float | None = Field(None, ge=0, le=1)

    @model_validator(mode="after")
    def _require_memory_for_largest_body(self) -> Self:
        if self.memory_bytes < self.least_memory_bytes:
            needed = self.least_memory_bytes
            raise ValueError(f"MEMORY_BYTES is under {needed}, which the largest body needs; or lower MAX_BATCH_BYTES")
        return self

    @model_validator(mode="after")
    def _require_limits_for_processes(self) -> Self:
        with_large_bodies = "large_body_processes" if self.large_body_processes else "gateway_processes"
        if (getattr(self, with_large_bodies) or 1) > self.most_processes:
            limits = " and ".join(name.upper() for name in SHARED_LIMITS if self.is_shared(name))
            raise ValueError(f"{with_large_bodies.upper()} is over {self.most_processes}, for which {limits} suffice")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Secrets may come from files.

        Raises:
            SecretFileError: one cannot be had from its file.
        """
        secrets = {name: value for name, value in environment(os.environ).items() if name in NAMES}
        own = {name.lower(): value for name, value in secrets.items() if value and name.lower() in cls.model_fields}
        from_files = InitSettingsSource(settings_cls, own)
        return init_settings, from_files, env_settings, dotenv_settings, file_secret_settings

    @field_validator("api_key")
    @classmethod
    def _require_api_key(cls, value: SecretStr) -> SecretStr:
        if not _keys(value):
            raise ValueError("it names no key")
        return value

    @field_validator("redis_url")
    @classmethod
    def _require_redis_address(cls, value: str | None) -> str | None:
        try:
            parse_url(value or "redis://")
        except ValueError:  # Its text repeats a part of the address, which may be one of the password.
            raise ValueError("it is no address of Redis; a / in a password is written %2F") from None
        return value

    @field_validator("history_key")
    @classmethod
    def _require_history_key_with_redis(cls, value: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        if value is not None:
            HistoryKey.of(value.get_secret_value())
        elif others.data.get("redis_url"):
            raise ValueError("REDIS_URL is set, and this is not: ids would lie in Redis as hashes that can be guessed")
        return value

    @field_validator("release_record", mode="before")
    @classmethod
    def _parse_release_record(cls, value: object) -> object:
        if not isinstance(value, str) or "://" not in value:
            return value
        try:
            address = HttpUrl(value)
        except ValidationError:
            raise ValueError("it is neither a path nor an http:// or https:// address") from None
        if address.username or address.password:
            raise ValueError("a user name or a password in it is not used; leave it out")
        return address

    @property
    def least_memory_bytes(self) -> int:
        """What one process needs for the largest body."""
        return max(self.max_upload_bytes, self.max_batch_bytes) * 3 * SCORING_FACTOR // 2

    @property
    def most_processes(self) -> int:
        """As many as can serve large bodies and share the limits that are set."""
        needed = {"memory_bytes": self.least_memory_bytes}
        limits: dict[str, int] = {name: getattr(self, name) for name in SHARED_LIMITS if self.is_shared(name)}
        return min([MAX_PROCESSES, *(total // needed.get(name, 1) for name, total in limits.items())])

    def is_shared(self, limit: str) -> bool:
        """Whether this limit is for all processes together: it is set."""
        return limit in self.model_fields_set

    @property
    def body_bytes(self) -> int:
        """All bodies that arrive, wait or are scored, together."""
        return self.memory_bytes // 5

    @property
    def scoring_bytes(self) -> int:
        """All bodies that are scored at a time, together: two thirds of the memory."""
        return self.memory_bytes * 2 // (3 * SCORING_FACTOR)

    @property
    def answer_bytes(self) -> int:
        """All large answers that their callers have not read, together."""
        return self.memory_bytes // 8

    @property
    def api_keys(self) -> tuple[bytes, ...]:
        """The accepted keys as they stand in a header."""
        return _keys(self.api_key)

    @property
    def key(self) -> HistoryKey:
        """What ids and entities are hashed with in Redis."""
        return HistoryKey.of(self.history_key.get_secret_value()) if self.history_key else UNKEYED

    @property
    def history_options(self) -> HistoryOptions:
        """How transactions are kept in Redis."""
        known, values = self.known_days * 86_400, self.values_hours * 3_600
        return HistoryOptions(self.history, round(known), max(1, round(min(known, values))), self.key)

    def bands(self, own: DecisionBands) -> DecisionBands:
        """The model's own thresholds, or this deployment's where it overrides them; always in order."""
        return ThresholdOverrides(self.review_threshold, self.decline_threshold).apply_to(own)


def load_settings() -> GatewaySettings:
    """The settings of the environment; where one is wrong, a line that names it and not its value, and the end."""
    try:
        return GatewaySettings()
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            name = "_".join(map(str, fault["loc"])).upper() or "settings"
            empty = fault["type"] == "missing" and os.environ.get(f"{name}_FILE")
            text = f"{name}_FILE: the file that it names is empty" if empty else f"{name}: {fault['msg']}"
            print(f"the gateway cannot start: {text}", file=sys.stderr)
    except SecretFileError as error:
        print(f"the gateway cannot start: {error}", file=sys.stderr)
    raise SystemExit(os.EX_CONFIG)


def _keys(value: SecretStr) -> tuple[bytes, ...]:
    return tuple(key.strip().encode() for key in value.get_secret_value().split(",") if key.strip())
