"""What an integrator sees of the real stack."""

import csv
import io
import json
import re
import socket
import subprocess
import zipfile

import httpx
import numpy as np
import pytest
import torch

from contract.features import to_matrix
from contract.schema import Contract
from contract.table import read_csv
from history.evaluation import with_history
from tests.system.conftest import KEY, Stack
from tests.timeouts import WAIT_SECONDS

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]


def test_the_guides_curl_works_as_printed(stack: Stack) -> None:
    """The curl line that `fraud up` prints gives a decision for every row of the example file."""
    line = next(line for line in stack.output.read_text().splitlines() if line.startswith("curl "))
    done = subprocess.run(line, shell=True, cwd=stack.directory, capture_output=True, check=True)  # noqa: S602 - pasted
    answer = json.loads(done.stdout)
    rows = (stack.directory / "examples" / "transactions.csv").read_text().count("\n") - 1
    assert answer["rows"] == len(answer["predictions"]) == rows
    assert {prediction["decision"] for prediction in answer["predictions"]} <= {"approve", "review", "decline"}
    assert 0 < answer["flagged"] < rows


def test_there_is_no_skew(stack: Stack, sample: bytes) -> None:
    """Rows score through CSV, gateway, Redis and TorchServe as by training's own code over a table, within 1e-6."""
    with zipfile.ZipFile(stack.directory / "model_store" / "fraud-1.mar") as archive:
        contract, model = Contract.from_bytes(archive.read("contract.json")), io.BytesIO(archive.read("model.pt"))
    # Nobody knows these cards and ids: the file is all their past.
    rows = re.sub(rb"\b(T\d{4}-\d{7}|[CM]\d{5})\b", rb"\1-skew", sample)
    assert contract.history
    matrix = to_matrix(contract, with_history(contract, read_csv(contract, rows).table, None))
    with torch.inference_mode():
        expected = torch.jit.load(model)(torch.from_numpy(matrix)).numpy()  # type: ignore[no-untyped-call]
    predictions = stack.upload(rows, "?record=false").json()["predictions"]
    scored = [prediction["fraud_probability"] for prediction in predictions]
    np.testing.assert_allclose(scored, expected, rtol=0, atol=1e-6)


def test_one_row_scores_as_it_does_in_the_file(stack: Stack, sample: bytes) -> None:
    """A transaction sent alone as JSON has the probability that it has in the file, within 1e-6."""
    whole = stack.upload(sample).json()["predictions"]
    transaction: dict[str, object] = dict(next(csv.DictReader(io.StringIO(sample.decode()))))
    transaction["amount"] = float(str(transaction["amount"]))
    alone = stack.client.post("/v1/score", json=transaction).json()["predictions"]
    assert alone[0]["fraud_probability"] == pytest.approx(whole[0]["fraud_probability"], abs=1e-6)


def test_a_large_file_is_scored_in_blocks(stack: Stack, sample: bytes) -> None:
    """A file of many blocks is answered row for row as its rows would be alone."""
    header, _, rows = sample.partition(b"\n")
    answer = stack.upload(header + b"\n" + rows * 50).json()
    deduplicate = stack.upload(sample).json()["predictions"]
    scored = [prediction["fraud_probability"] for prediction in answer["predictions"]]
    expected = [prediction["fraud_probability"] for prediction in deduplicate] * 50
    np.testing.assert_allclose(scored, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("key", [None, "wrong", "schlüssel"])
def test_a_stranger_is_refused_before_the_body(stack: Stack, key: str | None) -> None:
    """Without a valid key the answer is 401 at once, though the body never comes."""
    host, port = stack.url.removeprefix("http://").split(":")
    lines = [b"POST /upload HTTP/1.1", b"Host: x", b"Content-Length: 9000000", b"Content-Type: text/csv"]
    if key is not None:
        lines.append(b"X-API-Key: " + key.encode())
    assert _status(host, int(port), b"\r\n".join(lines) + b"\r\n\r\n") == 401  # 408 if it had waited for the body.


def _status(host: str, port: int, request: bytes) -> int:

    with socket.create_connection((host, port), timeout=WAIT_SECONDS) as connection:
        connection.sendall(request)
        return int(connection.recv(4096).split()[1])


def test_a_body_over_the_limit_is_cut_off(stack: Stack) -> None:
    """A streamed body over 10 MB is answered 413 while it is still being sent."""
    chunks = (b"x" * 100_000 for _ in range(110))
    answer = stack.client.post("/upload", content=chunks, headers={"content-type": "text/csv"})
    assert answer.status_code == 413


def test_a_batch_is_answered_file_by_file(stack: Stack, sample: bytes) -> None:
    """Several files come back in their order, a bad one with its own problem."""
    files = [("files", (name, body)) for name, body in [("a.csv", sample), ("b.csv", b"x\n1\n"), ("c.csv", sample)]]
    answers = stack.client.post("/predict/batch", files=files).json()["files"]
    assert [answer["status"] for answer in answers] == [200, 422, 200]


def test_logs_are_json_without_values(stack: Stack, sample: bytes) -> None:
    """The gateway's log file has a line for each request, and no cell of any upload."""
    identity = sample.splitlines()[1].split(b",")[0].decode()
    assert stack.upload(sample).status_code == 200
    assert stack.upload(sample.replace(b"chip", b"=chip").replace(b",", b",,", 1)).status_code == 422
    text = (stack.directory / "var" / "log" / "gateway.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert {"timestamp", "request_id", "route", "status"} <= lines[-1].keys()
    assert identity not in text
    assert KEY not in text


def test_pages_for_people_and_prometheus_answer(stack: Stack) -> None:
    """Health, metrics and documentation are there without a key."""
    with httpx.Client(base_url=stack.url, trust_env=False) as stranger:
        health = stranger.get("/health").json()
        assert (health["status"], health["components"]["redis"]["status"]) == ("healthy", "healthy")
        assert "prediction_latency_seconds" in stranger.get("/metrics").text
        assert stranger.get("/docs").is_success
