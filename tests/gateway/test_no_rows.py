"""Inputs of which no row can be used: every route, contract and option answers them, and no neighbour is lost."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from contract.schema import Contract, Kind, Others
from gateway.api import routes
from gateway.http.problems import ModelServerDown
from gateway.requests.payload import Payload, csv_payload
from gateway.scoring import Scorer
from releases.record import Trial
from tests.gateway.contracts import CONTRACTS, as_csv, as_lines, bad_texts, bad_values, good_row, served
from tests.gateway.trials import CANARY, SHADOW, TrialGateway, Valkey
from tests.tiny import CONTRACT

CSV = {"content-type": "text/csv"}
SKIP = st.sampled_from(["?on_error=skip", "?on_error=skip&record=false"])
EXAMPLES = settings(max_examples=12)
Gateway = tuple[TestClient, Contract]


@pytest.fixture(scope="module", params=CONTRACTS, ids=lambda contract: contract.name)
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, server: Valkey
) -> Iterator[Gateway]:
    """A gateway of each contract, with a history where it has one."""
    with served(tmp_path_factory.mktemp("gateway"), request.param, redis_url=server.url) as client:
        yield client, request.param


@st.composite
def bad_objects(draw: st.DrawFn, contract: Contract) -> object:
    """What is no transaction of a contract, as JSON holds it."""
    column = draw(st.sampled_from(contract.inputs))
    row = good_row(contract)
    row[draw(st.sampled_from([column.name, "unheard-of"]))] = draw(st.sampled_from(bad_values(column)))
    return draw(st.just(row) | st.sampled_from([None, 5, "text", [], {}]))


@st.composite
def bad_records(draw: st.DrawFn, contract: Contract) -> list[object]:
    """Likewise a record of a CSV file."""
    column = draw(st.sampled_from(contract.inputs))
    row = {**good_row(contract), column.name: draw(st.sampled_from(bad_texts(column)))}
    record = [row[name] for name in contract.input_names]
    return draw(st.sampled_from([record, [*record, "more"], record[1:] or ["a", "b"]]))


def bad_files(contract: Contract) -> st.SearchStrategy[str]:
    """Files of which no row is good, but one at least is there."""
    records = st.lists(bad_records(contract), min_size=1, max_size=6)
    return records.map(lambda found: as_lines([contract.input_names, *found]))


def assert_all_skipped(answer: dict[str, Any], rows: int) -> None:
    """Each row is listed as at fault, and none is scored."""
    assert (answer["rows"], answer["skipped"], answer["predictions"], answer["flagged"]) == (rows, rows, [], 0)
    assert {error["row"] for error in answer["errors"]} == set(range(1, rows + 1))


def rows_of(file: str) -> int:
    """How many rows a file has."""
    return len(list(csv.reader(io.StringIO(file)))) - 1


@given(data=st.data(), query=SKIP)
@EXAMPLES
def test_transactions_of_which_none_is_good_are_all_listed(gateway: Gateway, data: st.DataObject, query: str) -> None:
    """One object or a list: 200 with every row skipped, and 422 where bad rows refuse the input."""
    client, contract = gateway
    objects = data.draw(st.lists(bad_objects(contract), min_size=1, max_size=4))
    one = len(objects) == 1 and not isinstance(objects[0], list) and data.draw(st.booleans())
    body = json.dumps(objects[0] if one else objects)
    answer = client.post(f"/v1/score{query}", content=body)
    assert answer.status_code == 200, answer.text
    assert_all_skipped(answer.json(), len(objects))
    assert client.post("/v1/score", content=body).status_code == 422


@given(data=st.data(), query=SKIP)
@EXAMPLES
def test_a_file_of_which_no_row_is_good_comes_back_whole(gateway: Gateway, data: st.DataObject, query: str) -> None:
    """As JSON and as CSV, as text and as a form: every row is listed as an error."""
    client, contract = gateway
    file = data.draw(bad_files(contract))
    answer = client.post(f"/upload{query}", files={"file": ("a.csv", file)})
    assert answer.status_code == 200, answer.text
    assert_all_skipped(answer.json(), rows_of(file))
    table = client.post(f"/upload{query}", content=file, headers={**CSV, "accept": "text/csv"})
    assert table.status_code == 200, table.text
    decisions = [row["decision"] for row in csv.DictReader(io.StringIO(table.text))]
    assert decisions == ["error"] * rows_of(file)
    assert client.post("/upload", content=file, headers=CSV).status_code == 422


@given(data=st.data(), query=SKIP)
@EXAMPLES
def test_a_batch_answers_each_file_whatever_the_others_hold(gateway: Gateway, data: st.DataObject, query: str) -> None:
    """A file without a good row, one without a row and a good one: each gets its own answer."""
    client, contract = gateway
    bad, good, empty = data.draw(bad_files(contract)), as_csv(contract, [good_row(contract)]), as_csv(contract, [])
    sent = data.draw(st.lists(st.sampled_from([bad, good, empty]), min_size=1, max_size=4))
    answer = client.post(f"/predict/batch{query}", files=[("files", ("a.csv", file)) for file in sent])
    assert answer.status_code == 200, answer.text
    for file, entry in zip(sent, answer.json()["files"], strict=True):
        assert entry["status"] == (422 if file == empty else 200), entry
        if file == bad:
            assert_all_skipped(entry["result"], rows_of(bad))
        elif file == good:
            assert len(entry["result"]["predictions"]) == 1


@pytest.mark.parametrize("query", ["", "?on_error=skip", "?on_error=skip&record=false"])
def test_an_input_without_a_row_is_refused(gateway: Gateway, query: str) -> None:
    """Nothing to score is no success."""
    client, contract = gateway
    header = as_csv(contract, [])
    answers = [
        client.post(f"/v1/score{query}", content="[]"),
        client.post(f"/upload{query}", content=header, headers=CSV),
        client.post(f"/upload{query}", content=header, headers={**CSV, "accept": "text/csv"}),
        client.post(f"/upload{query}", content="", headers=CSV),
    ]
    assert [answer.status_code for answer in answers] == [422] * 4


@given(st.lists(st.sampled_from([None, 5, {}, {"transaction_id": "t", "fraud": "maybe"}, {"fraud": True}]), min_size=1))
@EXAMPLES
def test_labels_of_which_none_is_good_are_all_listed(gateway: Gateway, labels: list[object]) -> None:
    """None is taken; a model without a history or an id has nothing that labels could be for."""
    client, contract = gateway
    answer = client.post("/v1/labels?on_error=skip", json=labels)
    if not contract.history or contract.first(Kind.ID) is None:
        assert answer.status_code == 409
        return
    assert answer.status_code == 200, answer.text
    output = answer.json()
    assert (output["labels"], output["skipped"], output["accepted"], output["unknown"]) == (
        len(labels),
        len(labels),
        0,
        [],
    )
    assert {error["row"] for error in output["errors"]} == set(range(1, len(labels) + 1))


@pytest.mark.parametrize("trial", [CANARY, SHADOW], ids=["canary", "shadow"])
def test_a_trial_changes_nothing_of_it(trial_gateway: TrialGateway, trial: Trial) -> None:
    """No row is split, and none is compared."""
    client = trial_gateway.start(trial)
    answer = client.post("/v1/score?on_error=skip", json=[{**good_row(CONTRACT), "amount": "abc"}])
    assert answer.status_code == 200, answer.text
    assert_all_skipped(answer.json(), 1)


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError("secret"), 500), (MemoryError(), 503), (ModelServerDown(), 503)]
)
def test_a_defect_that_one_file_of_a_batch_meets_is_its_own(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, log_lines: Path, error: Exception, status: int
) -> None:
    """The others are answered; what was not expected is logged."""
    good, odd = as_csv(CONTRACT, [good_row(CONTRACT)]), as_csv(CONTRACT, [good_row(CONTRACT, "odd")])
    score, odd_payloads = Scorer.score, list[Payload]()

    def noted(body: bytes, columns: Others) -> Payload:
        payload = csv_payload(body, columns)
        odd_payloads.extend([payload] if b"odd" in body else [])
        return payload

    async def failing(self: Scorer, payload: Payload, options: Any) -> Any:  # noqa: ANN401 - as it is called
        if payload in odd_payloads:
            raise error
        return await score(self, payload, options)

    monkeypatch.setattr(routes, "csv_payload", noted)
    monkeypatch.setattr(Scorer, "score", failing)
    answer: httpx2.Response = client.post(
        "/predict/batch", files=[("files", ("a.csv", file)) for file in (good, odd, good)]
    )
    assert [entry["status"] for entry in answer.json()["files"]] == [200, status, 200]
    assert "secret" not in answer.text
    assert ('"file failed"' in log_lines.read_text()) == (not isinstance(error, ModelServerDown))
