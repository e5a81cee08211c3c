"""A second version with other columns, rolled out under the running gateway."""

import csv
import json
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.conftest import Stack, Traffic, find, gateway, release, train

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]


def write_claims(path: Path, rows: int, *, label: bool = True) -> None:
    """Another business altogether: claims with a weight and a region, some of them missing."""
    draw = random.Random(rows)  # noqa: S311 - test data
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["claim", "filed", "kilograms", "region", "value", *(["fake"] if label else [])])
        for number in range(rows):
            fake = draw.random() < 0.08
            kilograms = "" if draw.random() < 0.1 else f"{draw.gauss(30 if fake else 12, 6):.2f}"
            region = draw.choice(["south", "east", ""] if fake else ["north", "south", "west", ""])
            value = f"{draw.lognormvariate(6 if fake else 4, 1):.2f}"
            day, hour = 1 + number * 27 // rows, draw.randrange(24)
            cells = [f"claim-{number}", f"2026-03-{day:02d} {hour:02d}:15:00", kilograms, region, value]
            writer.writerow([*cells, *([int(fake)] if label else [])])


SCHEMA = """
name = "claims"

[columns.claim]
kind = "id"
[columns.filed]
kind = "timestamp"
[columns.kilograms]
kind = "number"
missing = "allow"
[columns.region]
kind = "category"
missing = "allow"
[columns.value]
kind = "number"
minimum = 0
log = true
[columns.fake]
kind = "label"
"""


@dataclass(frozen=True, slots=True)
class Claims:
    """The version that was trained on claims, and new claims without a label."""

    version: int
    csv: bytes


@pytest.fixture(scope="session")
def claims(first_start: Stack) -> Claims:
    """Trained, archived and registered in the store."""
    data, schema = first_start.directory / "claims.csv", first_start.directory / "claims.toml"
    write_claims(data, 6000)
    schema.write_text(SCHEMA)
    version = train(first_start, "--data", data, "--schema", schema, "--epochs", "3")
    unlabelled = first_start.directory / "new-claims.csv"
    write_claims(unlabelled, 50, label=False)
    return Claims(version, unlabelled.read_bytes())


def test_a_running_gateway_takes_up_another_contract(stack: Stack, sample: bytes, claims: Claims) -> None:
    """After the release the same gateway process validates and scores by the new columns, and by them only."""
    before = find(stack, gateway)
    release(stack, claims.version)
    assert [column["name"] for column in stack.client.get("/v1/contract").json()["columns"]] == [
        *["claim", "filed", "kilograms", "region", "value"]
    ]
    answer = stack.upload(claims.csv)
    assert (answer.status_code, answer.json()["model_version"], answer.json()["rows"]) == (200, claims.version, 50)
    assert stack.upload(sample).status_code == 422
    assert find(stack, gateway) == before


def test_a_file_with_another_column_order_and_unknown_region_is_scored(stack: Stack, claims: Claims) -> None:
    """The new contract's own rules hold: any column order, unseen categories, missing values where allowed."""
    release(stack, claims.version)
    text = b"value,region,kilograms,filed,claim\n12.5,atlantis,,2026-03-30,c-1\n"
    assert stack.upload(text).json()["predictions"][0]["id"] == "c-1"


def test_a_release_drops_no_request(stack: Stack, claims: Claims) -> None:
    """While versions change back and forth each answer is 200 by one version, or 422 by the other's columns."""
    with Traffic(stack, claims.csv) as traffic:
        for version in (claims.version, 1, claims.version):
            release(stack, version)
    assert len(traffic.answers) > 10
    seen = {(status, body.get("model_version")) for status, body in traffic.answers}
    assert seen == {(200, claims.version), (422, None)}


def test_a_bad_archive_is_never_released(stack: Stack, sample: bytes) -> None:
    """An archive with one flipped byte is refused by the release, and the live version goes on."""
    store = stack.directory / "model_store"
    entry = json.loads((store / "fraud-1.json").read_text())
    content = bytearray((store / "fraud-1.mar").read_bytes())
    content[len(content) // 2] ^= 1
    (store / "fraud-99.mar").write_bytes(content)
    (store / "fraud-99.json").write_text(json.dumps({**entry, "version": 99, "file": "fraud-99.mar"}))
    try:
        with pytest.raises(AssertionError, match="SHA-256"):
            stack.fraud("release", "99")
    finally:
        (store / "fraud-99.mar").unlink()
        (store / "fraud-99.json").unlink()
    assert stack.upload(sample).json()["model_version"] == 1
