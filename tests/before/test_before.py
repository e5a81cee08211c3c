"""Files and Redis keys of the version before are read as it read them (README.md says how they came)."""

import base64
import gzip
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr
from redis import Redis
from starlette.testclient import TestClient

from contract.description import Description
from contract.frame import Frame
from contract.schema import Contract
from contract.table import read_csv
from gateway.app import create_app
from gateway.history.pipeline import BatchPipeline
from gateway.settings import GatewaySettings
from history.epoch import EPOCH, Epoch
from history.plan import Plan
from history.session import BatchSession, HistoryOptions
from operations.backups import backup, golden_check
from operations.history import label_export
from operations.settings import StatePaths
from operations.store import journal
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.store.version_archive import load_version
from tests.gateway.conftest import AUTHORISED, KEY
from tests.gateway.trials import Valkey
from tests.gateway.waiting import until
from tests.keys import HISTORY_KEY
from tests.keys import KEY as DIGESTS
from tests.tiny import TinyServer

HERE = Path(__file__).parent
BACKUP = HERE / "backup.tar"
NEVER = -1e12
"""A moment from which on nothing is old: nothing may be forgotten."""
AS_TORCHSERVE = """
import sys, types
directory = sys.argv[1]
sys.path.insert(0, directory)
import contract, fraud_handler
assert contract.__file__.startswith(directory), contract.__file__
properties, manifest = {"model_dir": directory, "gpu_id": None}, {"model": {"modelVersion": "1"}}
ignore = lambda *_: None
context = types.SimpleNamespace(
    system_properties=properties, manifest=manifest,
    set_response_content_type=ignore, set_response_status=lambda *refusal: sys.exit(str(refusal)),
)
handler = fraud_handler.FraudHandler()
handler.initialize(context)
sys.stdout.buffer.write(handler.handle([{"body": sys.stdin.buffer.read()}], context)[0])
"""
"""What a worker does with an unpacked archive, whose directory is the first on its path; one request on its input."""


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    """The backup restored into an empty place."""
    paths = StatePaths(tmp_path, tmp_path / "model_store")
    backup.restore(BACKUP, paths)
    return paths


@pytest.fixture
def unpacked(paths: StatePaths, tmp_path: Path) -> Path:
    """The archive as TorchServe unpacks it, once it has been verified."""
    directory = tmp_path / "unpacked"
    with Registry(paths.store).verified(1) as verified, zipfile.ZipFile(verified.archive) as archive:
        archive.extractall(directory)
    return directory


@pytest.fixture(scope="module")
def answered() -> dict[str, Any]:
    """What the gateway before had in Redis, and what it answered."""
    fields: dict[str, Any] = json.loads(gzip.decompress((HERE / "redis.json.gz").read_bytes()))
    return fields


@pytest.fixture
def valkey(tmp_path_factory: pytest.TempPathFactory, answered: dict[str, Any]) -> Iterator[Valkey]:
    """A Valkey that holds the keys of the gateway before."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    with server.raw() as redis:
        for name, value in answered["keys"].items():
            if isinstance(value, str):
                redis.set(base64.b64decode(name), base64.b64decode(value))
            else:
                pairs = {base64.b64decode(field): base64.b64decode(text) for field, text in value.items()}
                redis.hset(base64.b64decode(name), mapping=pairs)
    yield server
    server.kill()


@pytest.fixture
def client(unpacked: Path, paths: StatePaths, valkey: Valkey) -> Iterator[TestClient]:
    """Today's gateway before that version and that Redis."""
    server = TinyServer()
    server.serve(unpacked)
    settings = GatewaySettings(
        api_key=KEY,
        history_key=SecretStr(HISTORY_KEY),
        release_record=paths.store / "release.json",
        follow_seconds=0.01,
        redis_url=valkey.url,
        history_timeout_seconds=10.0,
    )
    with TestClient(create_app(settings, transport=server), headers=AUTHORISED) as client:
        until(lambda: client.get("/v1/contract").status_code == 200)
        yield client


def test_the_backup_is_verified() -> None:
    """Every byte, and the golden rows of the version in it."""
    (result,) = golden_check.check_golden_rows(BACKUP)
    assert result.is_good, result
    assert (result.version, result.live, result.rows) == (1, True, 32)


def test_the_backup_is_restored(paths: StatePaths) -> None:
    """The version, the release record and the journal are where the commands look for them."""
    record = read_record(paths.store)
    assert record is not None
    assert (record.version, record.previous, record.trial) == (1, None, None)
    assert [event["event"] for event in journal.events(paths.store)] == ["released"]
    (entry,) = Registry(paths.store).entries()
    Registry(paths.store).verify(entry.version)
    version = load_version(Registry(paths.store), entry.version)
    assert version.golden.difference(version.score_golden()) < 1e-5


def test_a_worker_runs_the_code_that_is_packed(unpacked: Path) -> None:
    """The handler and contract of the archive, in a process without ours, say what today's gateway understands."""
    described = Description.from_bytes(_asked(unpacked, b"DESCRIBE"))
    assert described.version == 1
    assert (unpacked / "contract" / "history.py").exists(), "an archive of today would prove nothing"
    matrix = described.golden.matrix(described.contract)
    frame = Frame.from_bytes(_asked(unpacked, Frame(1, described.contract.fingerprint, matrix).to_bytes()))
    assert (frame.version, frame.fingerprint) == (1, described.contract.fingerprint)
    assert described.proven_by(frame.values[:, 0])


def _asked(unpacked: Path, body: bytes) -> bytes:
    command = [sys.executable, "-I", "-c", AS_TORCHSERVE, str(unpacked)]
    return subprocess.run(command, input=body, capture_output=True, check=True, cwd=unpacked).stdout


@pytest.mark.parametrize("name", ["probes", "repeats"])
def test_history_has_the_same_values(unpacked: Path, valkey: Valkey, answered: dict[str, Any], name: str) -> None:
    """Of transactions that come new, and of some that were scored."""
    contract = Contract.from_bytes((unpacked / "contract.json").read_bytes())
    with valkey.raw() as redis:
        found = _values(redis, contract, answered[name].encode())
    assert found.keys() == answered["values"][name].keys()
    for feature, values in answered["values"][name].items():
        np.testing.assert_array_equal(found[feature], np.array(values, dtype=np.float64), feature)


def _values(redis: Redis, contract: Contract, text: bytes) -> dict[str, Any]:
    table, plan = read_csv(contract, text).table, Plan.of([contract])
    assert plan is not None
    ids = table.columns["transaction_id"].tolist()
    options = HistoryOptions(record=False, known_seconds=1, values_seconds=1, key=DIGESTS)
    session = BatchSession(plan, table, ids, options, now=NEVER)
    BatchPipeline(redis, DIGESTS).enter(session)
    return dict(session.values())


@pytest.mark.parametrize("name", ["probes", "repeats"])
def test_the_gateway_answers_the_same(client: TestClient, answered: dict[str, Any], name: str) -> None:
    """Through today's routes, with whole history."""
    headers = {"content-type": "text/csv"}
    answer = client.post("/upload?record=false", content=answered[name], headers=headers).json()
    found = [prediction["fraud_probability"] for prediction in answer["predictions"]]
    np.testing.assert_allclose(found, answered["probabilities"][name], atol=1e-6)
    assert client.get("/health").json()["components"]["history"] | {"memory_usage": None} == answered["health"]


def test_the_epoch_stands(client: TestClient, valkey: Valkey, answered: dict[str, Any]) -> None:
    """A gateway that has started goes on with it: nothing was lost."""
    with valkey.raw() as redis:
        text: Any = redis.get(EPOCH)
    assert text.decode() == answered["epoch"]
    epoch = Epoch.from_bytes(text)
    assert epoch is not None
    assert epoch.to_bytes() == text
    assert epoch.lost_at is None


def test_labels_are_known(client: TestClient, valkey: Valkey, answered: dict[str, Any]) -> None:
    """The same labels change nothing; another one is taken, and is counted in the place of the old one."""
    labels = [
        {"transaction_id": name, "fraud": fraud == "1", "confirmed_at": at} for name, fraud, at in answered["labels"]
    ]
    assert client.post("/v1/labels", json=labels).json() == _taken(len(labels), 0)
    with valkey.client() as redis:
        assert redis.hgetall("fraud:labelled") == answered["labelled"]
        assert client.post("/v1/labels", json=[labels[0] | {"fraud": False}]).json() == _taken(1, 1)
        assert redis.hgetall("fraud:labelled") != answered["labelled"]


def _taken(labels: int, changed: int) -> dict[str, Any]:
    return {"labels": labels, "accepted": labels, "changed": changed, "unknown": []}


def test_labels_are_exported(paths: StatePaths, valkey: Valkey, answered: dict[str, Any]) -> None:
    """As `fraud labels export` joins them with the transactions."""
    scored, out = paths.root / "scored.csv", paths.root / "labels.csv"
    scored.write_text(answered["scored"])
    label_export.run(paths, {"REDIS_URL": valkey.url, "HISTORY_KEY": HISTORY_KEY}, scored, out, None)
    exported = {cells[0]: cells[-2:] for line in out.read_text().splitlines()[1:] if (cells := line.split(","))}
    assert exported == {name: [fraud, f"{at}+00:00"] for name, fraud, at in answered["labels"]}
