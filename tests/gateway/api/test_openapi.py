"""The OpenAPI document: what each route can answer, and what the live version reads."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from starlette.testclient import TestClient

from contract.schema import Column, Contract, Feature, FeatureKind, Kind
from gateway.api.json_schema import NOT_BLANK
from gateway.http.problems import Draining, LabelsNotTaken, Problem, Refused, Unavailable
from releases.record import Release
from tests.gateway.conftest import Serve, documented
from tests.gateway.contracts import CONTRACTS, EVERYTHING, NAMELESS, served
from tests.gateway.trials import CANARY, OTHER, TrialGateway, Valkey
from tests.gateway.waiting import until
from tests.tiny import TinyServer, write_version

KEYED = {"/upload", "/predict/batch", "/v1/score", "/v1/check", "/v1/labels", "/v1/contract"}
READING = KEYED - {"/v1/contract"}


@pytest.fixture(scope="module", params=CONTRACTS, ids=lambda contract: contract.name)
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, server: Valkey
) -> Iterator[TestClient]:
    """A gateway of each contract."""
    with served(tmp_path_factory.mktemp("gateway"), request.param, redis_url=server.url) as client:
        yield client


def schemas(client: TestClient) -> dict[str, Any]:
    """The shapes in the document."""
    found: dict[str, Any] = client.get("/openapi.json").json()["components"]["schemas"]
    return found


def kinds(of: type[Problem] = Problem) -> Iterator[type[Problem]]:
    """All problems that there are."""
    for kind in of.__subclasses__():
        yield from (kind, *kinds(kind))


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind not in {Refused, Unavailable}])
def test_every_problem_is_documented(kind: type[Problem]) -> None:
    """By its code, under its status, where its like is; whatever meets any request, with each."""
    problem = kind()
    paths = {
        path
        for path, operations in documented().items()
        for operation in operations.values()
        if f"`{problem.code}`" in operation["responses"].get(str(int(problem.status)), {}).get("description", "")
    }
    assert paths, f"{problem.code} is not documented"
    if problem.code in {"unexpected", "out_of_memory", "disk_full", "too_large", "not_http"}:
        assert paths == set(documented())
    elif kind not in {Draining, LabelsNotTaken} and problem.code in {"too_slow", "not_supported", "busy"}:
        assert paths == READING


def test_a_key_is_needed_where_the_document_says_so(client: TestClient) -> None:
    """And nowhere else."""
    assert {
        path for path, each in documented().items() if any("401" in it["responses"] for it in each.values())
    } == KEYED
    assert {path for path, each in documented().items() if any("security" in it for it in each.values())} == KEYED
    client.headers.pop("x-api-key")
    for path, operations in documented().items():
        for method in operations:
            assert (client.request(method, path).status_code == 401) == (path in KEYED)


def test_every_reference_leads_somewhere(gateway: TestClient) -> None:
    """A name that the document uses is one that it has."""
    text = gateway.get("/openapi.json").text
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert names <= json.loads(text)["components"]["schemas"].keys()


def test_its_examples_are_accepted(gateway: TestClient) -> None:
    """One transaction, a list and a file; one label: as they stand in the document."""
    document = gateway.get("/openapi.json").json()
    shapes = document["components"]["schemas"]
    assert gateway.post("/v1/score", json=shapes["Transaction"]["examples"][0]).status_code == 200
    assert gateway.post("/v1/score", json=shapes["Transactions"]["examples"][0]).status_code == 200
    content = document["paths"]["/upload"]["post"]["requestBody"]["content"]["text/csv"]
    assert gateway.post("/upload", content=content["example"], headers={"content-type": "text/csv"}).status_code == 200
    assert document["paths"]["/v1/check"]["post"]["requestBody"]["content"]["text/csv"] == content
    if gateway.post("/v1/labels", json=[]).status_code != 409:
        content = document["paths"]["/v1/labels"]["post"]["requestBody"]["content"]["text/csv"]
        for sent in ({"json": shapes["Label"]["examples"][0]}, {"content": content["example"]}):
            kind = {"content-type": "text/csv"} if "content" in sent else {}
            answer = gateway.post("/v1/labels", **sent, headers=kind)
            assert (answer.status_code, answer.json().get("labels")) == (200, 1)


def test_it_says_what_each_column_reads(tmp_path: Path) -> None:
    """By its kind: bounds, lengths, and whether it may be missing."""
    with served(tmp_path, EVERYTHING) as client:
        transaction = schemas(client)["Transaction"]
    properties = transaction["properties"]
    assert {"type": "number", "minimum": 0.0, "maximum": 10_000.0}.items() <= properties["amount"].items()
    assert properties["age"]["type"] == ["number", "null"]
    assert {"type": ["string", "null"], "maxLength": 256}.items() <= properties["payment"].items()
    assert {"type": "string", "pattern": NOT_BLANK}.items() <= properties["clock"].items()
    assert properties["channel"]["examples"] == ["chip"]
    assert properties["opened"]["exclusiveMaximum"] == 2.5e14
    assert {"fraud", "times"} <= properties.keys()
    assert transaction["required"] == ["day", "clock", "shop", "amount", "channel"]
    assert transaction["additionalProperties"] is False


def test_it_follows_the_live_version(client: TestClient, model_server: TinyServer, tmp_path: Path) -> None:
    """Another version's columns are in it as soon as that one serves; until then it is the same text."""
    before = client.get("/openapi.json").text
    assert client.get("/openapi.json").text == before
    contract = Contract("other", (Column("price", Kind.NUMBER),), (Feature("price", FeatureKind.NUMBER, "price"),))
    model_server.serve(write_version(tmp_path / "v2", 2, contract, "price\n10\n2000\n"), 2)
    (tmp_path / "release.json").write_bytes(Release(2, 1, "2026-01-02T00:00:00+00:00").to_bytes())
    until(lambda: client.get("/v1/contract").json()["model_version"] == 2)
    assert schemas(client)["Transaction"]["required"] == ["price"]


def test_columns_of_a_version_on_trial_may_be_there(trial_gateway: TrialGateway) -> None:
    """They are not read by the live one, and refuse nothing."""
    client = trial_gateway.start(CANARY, contract=OTHER)
    assert "country" in schemas(client)["Transaction"]["properties"]
    jsonschema.Draft202012Validator(schemas(client)["Transaction"]).validate(
        {"transaction_id": "t", "timestamp": "2026-01-01T10:00:00", "amount": 1, "channel": "chip", "country": 5}
    )


def test_without_a_model_it_is_there_all_the_same(serve: Serve, tmp_path: Path) -> None:
    """A transaction is an object, and the page needs no key."""
    client = serve(ready=False, release_record=tmp_path / "absent.json")
    client.headers.pop("x-api-key")
    assert schemas(client)["Transaction"]["type"] == "object"
    page = client.get("/docs")
    assert (page.status_code, "/openapi.json" in page.text) == (200, True)


def test_the_document_is_one(tmp_path: Path) -> None:
    """FastAPI's part of it is not changed by ours: two versions after each other leave nothing behind."""
    with served(tmp_path, NAMELESS) as client:
        base = client.app.openapi()  # type: ignore[attr-defined] # FastAPI's own
        client.get("/openapi.json")
        assert "Transaction" not in base["components"]["schemas"]
