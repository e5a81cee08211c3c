"""A canary answers for its share of the entities, and fails nobody."""

import asyncio
import csv
import io
import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.decision import DecisionBands
from contract.schema import Contract
from contract.table import ParsedRows, read_csv
from gateway.metrics import Metrics
from gateway.models.inference_client import InferenceClient, connect_model_server
from gateway.models.model_calls import ModelCalls
from gateway.models.model_tracker import ModelTracker
from gateway.models.proving import Prover
from gateway.models.release_record import RecordFile
from gateway.models.serving_versions import RunningTrial, ServingVersions
from gateway.models.trial_counts_writer import TrialCountsWriter
from gateway.requests.payload import OnError, Payload, prepare
from gateway.requests.payload import read as read_given
from gateway.settings import GatewaySettings
from gateway.trial.canary_calls import CanaryCalls
from gateway.trial.canary_router import CanaryRouter
from releases.trial_counts import TrialArm, TrialCounts
from tests.gateway.trials import (
    CANARY,
    IDS,
    ON_TRIAL,
    OTHER,
    OTHER_GOLDEN,
    UNION,
    TrialGateway,
    expected,
    probability,
    rows,
    versions,
)
from tests.gateway.waiting import until
from tests.tiny import TinyServer, card, seal, write_version


def assert_scores(answer: dict[str, Any]) -> None:
    """Each row has the probability that its version gives to its amount."""
    for each in answer["predictions"]:
        assert each["fraud_probability"] == pytest.approx(probability(each["id"], each["model_version"]), abs=1e-5)


def test_each_row_is_scored_by_its_side(trial_gateway: TrialGateway) -> None:
    """Rows of the canary's entities have its version, probability and decision; the others the live version's."""
    trial_gateway.start(CANARY)
    answer = trial_gateway.upload(rows())
    assert answer["model_version"] == 1
    assert versions(answer) == expected(ON_TRIAL)
    assert_scores(answer)


def test_a_decision_is_by_the_bands_of_its_version(trial_gateway: TrialGateway, tmp_path: Path) -> None:
    """Where the canary has other thresholds, its rows are decided by them."""
    trial_gateway.start(CANARY)
    directory = write_version(tmp_path / "v3", 3, slope=0.005)
    (directory / "card.json").write_bytes(card(3, DecisionBands(0.1, 0.2)).to_bytes())
    seal(directory)
    trial_gateway.model_server.serve(directory, 3)
    trial_gateway.record(replace(CANARY, version=3, share=1.0))
    until(lambda: versions(trial_gateway.upload(rows(["e-10"]))) == {"e-10": 3})
    assert trial_gateway.upload(rows(["e-10"]))["predictions"][0]["decision"] == "decline"


def test_a_large_file_is_split_like_a_small_one(trial_gateway: TrialGateway) -> None:
    """What is read in a thread has, row for row, the same sides and scores."""
    trial_gateway.start(CANARY)
    answer = trial_gateway.upload(rows(IDS * 50))
    assert [each["id"] for each in answer["predictions"]] == IDS * 50
    assert versions(answer) == expected(ON_TRIAL)
    assert_scores(answer)


def test_json_and_csv_are_on_the_same_side(trial_gateway: TrialGateway) -> None:
    """A transaction's side does not depend on how it comes."""
    client = trial_gateway.start(CANARY)
    objects = [{**each, "amount": float(each["amount"]), "age": 30} for each in csv.DictReader(io.StringIO(rows()))]
    assert versions(client.post("/v1/score", json=objects).json()) == versions(trial_gateway.upload(rows()))


def test_a_csv_answer_names_the_version_of_each_row(trial_gateway: TrialGateway) -> None:
    """The added column holds the version that scored the row, and nothing in a skipped row."""
    client = trial_gateway.start(CANARY)
    headers = {"content-type": "text/csv", "accept": "text/csv"}
    text = client.post("/upload?on_error=skip", content=rows() + "bad\n", headers=headers).text
    records = list(csv.DictReader(io.StringIO(text)))
    found = {record["transaction_id"]: record["model_version"] for record in records}
    assert found == {each: str(version) for each, version in expected(ON_TRIAL).items()} | {"bad": ""}


def test_both_sides_are_counted(trial_gateway: TrialGateway) -> None:
    """Requests, rows and times of both sides arrive in Valkey."""
    trial_gateway.start(CANARY)
    trial_gateway.upload(rows())
    trial_gateway.wait_for_count(CANARY, "trial:requests")
    trial_counts = trial_gateway.valkey.trial_counts(CANARY)
    live, trial = trial_counts.arm(TrialArm.LIVE), trial_counts.arm(TrialArm.TRIAL)
    assert (live.requests, live.rows) == (1, len(IDS) - len(ON_TRIAL))
    assert (trial.requests, trial.rows, trial.errors) == (1, len(ON_TRIAL), 0)
    assert live.latency(0.5) > 0


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.Response(503),
        httpx.Response(409),
        httpx.Response(200, content=b"wrong"),
        RuntimeError("a defect"),
        MemoryError(),
    ],
)
def test_a_failing_canary_fails_no_request(trial_gateway: TrialGateway, failure: Exception | httpx.Response) -> None:
    """However the canary fails, the live version answers for its rows in the same request, and it is counted."""
    trial_gateway.start(CANARY)
    trial_gateway.model_server.failing[2] = failure
    assert versions(trial_gateway.upload(rows())) == expected(set())
    counts = trial_gateway.wait_for_count(CANARY, "trial:errors")
    assert counts["trial:requests"] == counts["trial:errors"]
    assert trial_gateway.client.get("/readyz").status_code == 200


def test_a_wrong_answer_quarantines_the_canary_alone(trial_gateway: TrialGateway) -> None:
    """After a wrong answer the trial pauses until the version is proven again; the live one goes on."""
    trial_gateway.start(CANARY)
    trial_gateway.model_server.failing[2] = httpx.Response(200, content=b"wrong")
    trial_gateway.upload(rows())
    assert (trial_gateway.state()["status"], trial_gateway.state()["reason"]) == ("paused", "not_adopted")
    assert "live_model_version 1.0" in trial_gateway.client.get("/metrics").text
    trial_gateway.model_server.failing.clear()
    until(lambda: versions(trial_gateway.upload(rows())) == expected(ON_TRIAL))


def test_a_canary_with_other_columns_is_scored_by_its_own(trial_gateway: TrialGateway) -> None:
    """Where a caller sends the union of the columns, each side reads its own."""
    trial_gateway.start(CANARY, contract=OTHER)
    answer = trial_gateway.upload(rows(header=UNION))
    assert versions(answer) == expected(ON_TRIAL)
    assert_scores(answer)
    assert trial_gateway.wait_for_count(CANARY, "trial:requests")["unreadable"] == 0


def test_a_canary_with_other_columns_keeps_rows_in_their_places(trial_gateway: TrialGateway) -> None:
    """Rows that only one contract can read are skipped or left to the live version, and no other row moves."""
    trial_gateway.start(CANARY, contract=OTHER)
    bounded = rows(header=UNION).replace("e-1,2026", "e-1,9999999999")
    answer = trial_gateway.upload(bounded, "?on_error=skip")
    assert versions(answer) == {each: version for each, version in expected(ON_TRIAL).items() if each != "e-1"}
    assert_scores(answer)


def test_what_only_the_live_contract_reads_stays_with_it(trial_gateway: TrialGateway) -> None:
    """A caller who sends the live version's columns alone is answered by it, and the rows count as unreadable."""
    trial_gateway.start(CANARY, contract=OTHER)
    assert versions(trial_gateway.upload(rows())) == expected(set())
    assert trial_gateway.wait_for_count(CANARY, "unreadable")["unreadable"] == len(ON_TRIAL)


def test_an_unreadable_cell_keeps_only_its_row(trial_gateway: TrialGateway) -> None:
    """A row whose cell the canary's contract refuses is scored by the live version, the others by the canary."""
    trial_gateway.start(CANARY, contract=OTHER)
    first = min(ON_TRIAL)
    lines = rows(header=UNION).splitlines()
    changed = [line.removesuffix("NL") if line.startswith(f"{first},") else line for line in lines]
    assert versions(trial_gateway.upload("\n".join(changed))) == expected(ON_TRIAL - {first})
    assert trial_gateway.wait_for_count(CANARY, "unreadable")["unreadable"] == 1


def test_a_column_that_neither_knows_is_a_fault(trial_gateway: TrialGateway) -> None:
    """The trial opens no door to unknown columns."""
    client = trial_gateway.start(CANARY, contract=OTHER)
    answer = client.post("/upload", content=rows(header=f"{UNION},x"), headers={"content-type": "text/csv"})
    assert [fault["code"] for fault in answer.json()["errors"]] == ["unknown_column"]


@pytest.mark.anyio
@pytest.mark.parametrize("failure", [RuntimeError("a defect"), TimeoutError()])
async def test_what_fails_while_the_canary_s_rows_are_read_is_a_failure(
    settings: GatewaySettings, model_server: TinyServer, tmp_path: Path, failure: Exception
) -> None:
    """Neither a defect nor slowness looks like missing columns, and the live version answers."""
    model_server.serve(write_version(tmp_path / "v2", 2, OTHER, OTHER_GOLDEN), 2)

    def read(contract: Contract, others: Collection[str]) -> ParsedRows:
        if contract == OTHER:
            raise failure
        return read_csv(contract, rows().encode(), others=others)

    async with connect_model_server(settings, model_server) as client:
        metrics, server = Metrics(), InferenceClient(client, settings.model_name, settings.block_rows, 1)
        prover = Prover(settings, server)
        live = ModelTracker(RecordFile(tmp_path / "release.json"), 1.0, prover, TrialCountsWriter(None), metrics)
        live_counts, trial_model = [await prover.proven(number) for number in (1, 2)]
        calls, counts = ModelCalls(live, server, metrics), TrialCounts()
        given, serving = Payload(read, inline=True), ServingVersions(live_counts, RunningTrial(CANARY, trial_model))
        reading = read_given(given, serving, OnError.REFUSE, metrics)
        prepared = prepare(given, serving, reading, {}, metrics)
        deadline = asyncio.get_running_loop().time() + settings.deadline_seconds
        (part,) = await CanaryRouter(calls, CanaryCalls(calls, live, 1)).score(prepared, trial_model, deadline, counts)
    assert (part.model, len(part.positions)) == (live_counts, len(IDS))
    assert (counts.arm(TrialArm.TRIAL).errors, counts.counts["unreadable"]) == (1, 0)


def test_the_log_line_names_the_versions(trial_gateway: TrialGateway, log_lines: Path) -> None:
    """The request's line has the live version, and the canary's where it scored rows."""
    trial_gateway.start(CANARY)
    trial_gateway.upload(rows())
    trial_gateway.upload(rows([each for each in IDS if each not in ON_TRIAL]))
    lines = [json.loads(line) for line in log_lines.read_text().splitlines()]
    found = [(line.get("model_version"), line.get("trial_version")) for line in lines if line.get("route") == "/upload"]
    assert found == [(1, 2), (1, None)]


def test_metrics_are_by_version(trial_gateway: TrialGateway) -> None:
    """Requests to the model server and their times are counted by version and outcome."""
    trial_gateway.start(CANARY)
    trial_gateway.upload(rows())
    trial_gateway.model_server.failing[2] = httpx.Response(503)
    trial_gateway.upload(rows())
    text = trial_gateway.client.get("/metrics").text
    assert 'model_requests_total{model_version="1",outcome="scored"} 3.0' in text
    assert 'model_requests_total{model_version="2",outcome="model_server_down"} 1.0' in text
    assert 'model_request_seconds_count{model_version="2"} 2.0' in text
    assert 'fraud_predictions_total{decision="approve",model_version="2"}' in text
    assert "trial_model_version 2.0" in text


def test_a_dead_model_server_is_as_honest_as_without_a_trial(
    trial_gateway: TrialGateway, model_server: TinyServer
) -> None:
    """When both versions fail the caller is told to come again."""
    client = trial_gateway.start(CANARY)
    model_server.fail = httpx.Response(503)
    assert client.post("/upload", content=rows(), headers={"content-type": "text/csv"}).status_code == 503
    assert trial_gateway.wait_for_count(CANARY, "live:errors")["trial:errors"] == 1
