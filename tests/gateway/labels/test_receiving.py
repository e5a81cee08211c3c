"""Labels over HTTP: what is taken, what is said of the rest, and what scores and metrics see of it."""

import json
import os
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx2
import numpy as np
import pytest
from redis import Redis
from starlette.testclient import TestClient

from contract.labels import LabelWords
from contract.schema import Column, Contract, Feature, FeatureKind, Kind, TimeFormat
from gateway.labels import metrics_reader
from history.label_update import COUNTS
from history.plan import Plan
from history.redis_schema import ANSWERS, BLOCK, STATE
from history.short_records import decode_records
from tests.gateway.conftest import AUTHORISED
from tests.gateway.remembering import (
    COLUMNS,
    GOLDEN_HISTORY,
    HEADER,
    HISTORY,
    RISK,
    SLOPE,
    Serve,
    counts,
    history_server,
    starter,
    upload,
)
from tests.gateway.trials import Valkey
from tests.gateway.waiting import until
from tests.tiny import CONTRACT, TinyServer, write_version

WAIT_SECONDS = 20_000
CSV = {"content-type": "text/csv"}
FEATURES = tuple(Feature(window.name, FeatureKind.NUMBER, window.name) for window in (RISK, *(set(HISTORY) - {RISK})))
SHOPS = Contract("shops", COLUMNS, FEATURES, HISTORY)
"""The tiny model looks at the risk of the shop."""
CLOCK = Contract(
    "clock",
    tuple(
        Column("timestamp", Kind.TIMESTAMP, time_format=TimeFormat.SECONDS) if each.name == "timestamp" else each
        for each in COLUMNS
    ),
    FEATURES,
    HISTORY,
)
"""Its time is seconds since some moment."""


@pytest.fixture
def model_server(tmp_path: Path) -> TinyServer:
    """Holds version 1, which looks at the shop's risk."""
    return history_server(tmp_path, SHOPS)


@pytest.fixture
def gateway(serve: Serve, valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Starts a gateway on the test's own Valkey, which a busy machine may delay."""
    monkeypatch.setattr(metrics_reader, "READ_SECONDS", 0.02)
    return starter(serve, valkey)


def paid(identity: str, day: int = 1, shop: str = "s", amount: int = 10) -> str:
    """A row of that day of January at noon."""
    return f"{identity},2026-01-{day:02}T12:00:00,c,{shop},{amount}"


def send(client: TestClient, labels: object, query: str = "") -> httpx2.Response:
    """Labels as JSON."""
    return client.post(f"/v1/labels{query}", json=labels)


def send_csv(client: TestClient, text: str, query: str = "") -> httpx2.Response:
    """Labels as a CSV body."""
    return client.post(f"/v1/labels{query}", content=text, headers=CSV)


def label(identity: str, *, fraud: object = True, day: int = 3) -> dict[str, Any]:
    """One that was confirmed on that day of January at noon."""
    return {"transaction_id": identity, "fraud": fraud, "confirmed_at": f"2026-01-{day:02}T12:00:00"}


def removed(labels: int, accepted: int, changed: int, unknown: list[int]) -> dict[str, Any]:
    """An answer."""
    return {"labels": labels, "accepted": accepted, "changed": changed, "unknown": unknown}


def risk(client: TestClient, identity: str, day: int, shop: str = "s") -> int:
    """The risk of a shop as its next transaction sees it, which leaves no trace: of one transaction, 0 or 1."""
    return counts(upload(client, [paid(identity, day, shop)], "?record=false"))[0]


def answered(valkey: Valkey) -> bool:
    """Whether the answers to all transactions are noted."""
    with valkey.raw() as redis:
        blocks = {name.removeprefix(BLOCK) for name in redis.scan_iter(BLOCK + b"*")}
        return all(redis.exists(ANSWERS + block) for block in blocks)


def shown(client: TestClient) -> dict[str, float]:
    """What the metrics show of labels."""
    lines = client.get("/metrics").text.splitlines()
    names = ("labelled_transactions", "live_precision", "live_recall")
    return {line.split(" ")[0]: float(line.split(" ")[1]) for line in lines if line.startswith(names)}


def test_a_fraud_counts_in_the_risk_once_it_is_known(gateway: Serve) -> None:
    """By the transactions of the shop whose window reaches it; a correction takes it back, and gives it again."""
    client = gateway()
    upload(client, [paid("1")])
    assert risk(client, "x", 10) == 0
    for fraud, observed in [(True, 1), (False, 0), (True, 1)]:
        assert send(client, label("1", fraud=fraud)).json() == removed(1, 1, 1, [])
        assert risk(client, "x", 10) == observed
    assert risk(client, "x", 10, "other") == 0


def test_another_moment_moves_a_fraud(gateway: Serve) -> None:
    """One that was confirmed later than labels usually take counts later."""
    client = gateway()
    upload(client, [paid("1"), paid("2", 4)])
    send(client, label("1"))
    assert (risk(client, "x", 10), risk(client, "y", 16)) == (1, 0)
    assert send(client, label("1", day=11)).json()["changed"] == 1
    assert (risk(client, "x", 10), risk(client, "y", 16)) == (0, 1)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (json.dumps(label("1")).encode(), {"content-type": "application/json"}),
        (json.dumps([{"transaction_id": "1", "fraud": 1}]).encode(), {}),
        (b"transaction_id,fraud\n1,True\n", CSV),
        (b"confirmed_at,fraud,transaction_id\n2026-01-03T12:00:00,1,1\n\n", CSV),
        (b"transaction_id,fraud,confirmed_at\n1,true,\n", CSV),
    ],
)
def test_labels_come_as_json_or_csv(gateway: Serve, content: bytes, headers: dict[str, str]) -> None:
    """One or a list, columns in any order, true or 1, with or without a moment."""
    client = gateway()
    upload(client, [paid("1")])
    answer = client.post("/v1/labels", content=content, headers=headers)
    assert (answer.status_code, answer.json()) == (200, removed(1, 1, 1, []))


def test_labels_come_as_a_form(gateway: Serve) -> None:
    """With one file, as transactions do."""
    client = gateway()
    upload(client, [paid("1")])
    form = {"file": ("labels.csv", b"transaction_id,fraud\n1,1\n", "text/csv")}
    assert client.post("/v1/labels", files=form).json() == removed(1, 1, 1, [])


def test_unknown_transactions_are_named_by_row(gateway: Serve) -> None:
    """Those that never came, and those that were scored without a trace."""
    client = gateway()
    upload(client, [paid("1")])
    upload(client, [paid("2")], "?record=false")
    answer = send(client, [label("0"), label("1"), label("2"), label("0")])
    assert answer.json() == removed(4, 1, 1, [1, 3, 4])
    assert "transaction" not in answer.text


def test_the_same_labels_again_change_nothing(gateway: Serve, valkey: Valkey) -> None:
    """Through another gateway too, with the moment or without it."""
    first, second = gateway(), gateway()
    upload(first, [paid("1"), paid("2")])
    until(lambda: answered(valkey), WAIT_SECONDS)
    labels = [label("1"), label("2", fraud=False)]
    assert send(first, labels).json() == removed(2, 2, 2, [])
    with valkey.raw() as redis:
        before = {key: redis.dump(key) for key in redis.scan_iter()}
        assert send(second, labels).json() == removed(2, 2, 0, [])
        assert send(first, [{"transaction_id": "1", "fraud": True}]).json() == removed(1, 1, 0, [])
        assert {key: redis.dump(key) for key in redis.scan_iter()} == before


def test_of_several_rows_of_a_transaction_the_last_counts(gateway: Serve) -> None:
    """Each is accepted, and one change is counted."""
    client = gateway()
    upload(client, [paid("1")])
    answer = send_csv(client, "transaction_id,fraud\n1,true\n1,false\n1,true\n1,false\n")
    assert answer.json() == removed(4, 4, 1, [])
    assert risk(client, "x", 10) == 0


def test_faults_are_named_by_row_and_column(gateway: Serve) -> None:
    """And nothing of the file is taken; no cell is repeated."""
    client = gateway()
    upload(client, [paid("1")])
    text = "transaction_id,fraud,confirmed_at\n1,true,\n1,secret,\n,true,\n1,,\n1,0.5,yesterday-secret\n1\n"
    answer = send_csv(client, text)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    fields = answer.json()
    assert fields["type"] == "urn:fraud-detection:not_labels"
    assert [(each["row"], each["column"], each["code"]) for each in fields["errors"]] == [
        (2, "fraud", "not_an_option"),
        (3, "transaction_id", "missing"),
        (4, "fraud", "missing"),
        (5, "confirmed_at", "not_a_date"),
        (6, None, "field_count"),
    ]
    assert "secret" not in answer.text
    assert risk(client, "x", 10) == 0


def test_rows_with_faults_can_be_skipped(gateway: Serve) -> None:
    """The others are taken; every fault is listed, and rows keep their numbers."""
    client = gateway()
    upload(client, [paid("1")])
    answer = send_csv(client, "transaction_id,fraud\n1,maybe\n2,1\n1,1\n", "?on_error=skip").json()
    (error,) = answer.pop("errors")
    assert (error["row"], error["column"], error["code"]) == (1, "fraud", "not_an_option")
    assert answer == {**removed(3, 1, 1, [2]), "skipped": 1}


def test_rows_that_are_all_at_fault_can_be_skipped(gateway: Serve) -> None:
    """Nothing is left to take."""
    answer = send(gateway(), [{}, 1], "?on_error=skip").json()
    assert (answer["labels"], answer["accepted"], answer["skipped"], answer["unknown"]) == (2, 0, 2, [])


@pytest.mark.parametrize("fraud", ["maybe", "pending", 2, 0.5, [], {}, "", [True], 1e400])
def test_a_label_of_another_word_is_refused_with_the_options(gateway: Serve, fraud: object) -> None:
    """Whatever else JSON can hold; the answer says what is taken, and never what was sent."""
    answer = gateway().post("/v1/labels", content=json.dumps(label("1", fraud=fraud)).replace("Infinity", "1e400"))
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["row"], error["column"], error["code"]) == (1, "fraud", "not_an_option")
    assert error["hint"] == "expected true or false, 1 or 0, yes or no, fraud or legit, chargeback or genuine"


@pytest.mark.parametrize(
    ("fraud", "genuine"),
    [
        ("Yes", "No"), ("y", "N"), ("fraud", "legit"), ("FRAUD", "Genuine"), ("chargeback", "not_fraud"), ("true", "0"),
        ("ja", "nein"), ("oui", "non"), (1.0, 0.0),
    ],
)  # fmt: skip
def test_labels_come_in_words(gateway: Serve, fraud: object, genuine: object) -> None:
    """In those that have one reading, as CSV and as JSON."""
    client = gateway()
    upload(client, [paid("1"), paid("2", shop="t")])
    text = f"transaction_id,fraud,confirmed_at\n1,{fraud},2026-01-03\n2,{genuine},2026-01-03\n"
    assert send_csv(client, text).json() == removed(2, 2, 2, [])
    assert (risk(client, "x", 10), risk(client, "x", 10, "t")) == (1, 0)
    assert send(client, [label("1", fraud=genuine), label("2", fraud=fraud)]).json() == removed(2, 2, 2, [])
    assert (risk(client, "x", 10), risk(client, "x", 10, "t")) == (0, 1)


def test_the_words_of_the_models_label_are_taken(gateway: Serve, model_server: TinyServer, tmp_path: Path) -> None:
    """As its training file has them; an answer to whether it was fraud means the same whatever they say."""
    words = LabelWords.of(["disputed", "2", "0"], ["paid", "1"], ["pending"])
    columns = tuple(replace(each, words=words) if each.kind is Kind.LABEL else each for each in COLUMNS)
    worded = replace(SHOPS, columns=columns)
    golden = f"{HEADER}\ng-1,2026-01-01T12:00:00,golden,golden,10\n"
    model_server.serve(write_version(tmp_path / "worded", 1, worded, golden, SLOPE, history=GOLDEN_HISTORY))
    client = gateway()
    upload(client, [paid("1"), paid("2")])
    assert send_csv(client, "transaction_id,fraud\n1,Disputed\n2,paid\n").json() == removed(2, 2, 2, [])
    assert send(client, [{"transaction_id": "1", "fraud": 2}]).json() == removed(1, 1, 0, [])
    assert send(client, [{"transaction_id": "1", "fraud": 1}]).json() == removed(1, 1, 0, [])
    (error,) = send(client, [{"transaction_id": "1", "fraud": "pending"}]).json()["errors"]
    assert error["hint"].endswith(f"or as the model's label: {words}")


def test_other_columns_are_ignored_where_asked(gateway: Serve) -> None:
    """In JSON and in CSV; else the refusal has their names, if they are plainly names, and the option."""
    client = gateway()
    upload(client, [paid("1")])
    more = {**label("1"), "reason": "chargeback", "4111111111111111": "x"}
    text = "transaction_id,fraud,reason,4111111111111111\n1,1,chargeback,x\n"
    for answer in (send(client, more), send_csv(client, text)):
        assert answer.status_code == 422
        named, unnamed = answer.json()["errors"]
        assert named["code"] == unnamed["code"] == "unknown_column"
        assert named["hint"] == "named reason; columns=ignore leaves out what the model does not know"
        assert unnamed["hint"] == "columns=ignore leaves out what the model does not know"
        assert "chargeback" not in answer.text
    assert send(client, more, "?columns=ignore").json() == removed(1, 1, 1, [])
    assert send_csv(client, text, "?columns=ignore").json()["accepted"] == 1
    assert send(client, more, "?columns=perhaps").status_code == 422


def test_names_may_be_written_in_another_way(gateway: Serve) -> None:
    """As those of transactions may."""
    client = gateway()
    upload(client, [paid("1")])
    named = {"Transaction ID": "1", "Fraud": True, "confirmedAt": "2026-01-03T12:00:00"}
    assert send(client, named).json() == removed(1, 1, 1, [])


MOMENTS = [
    ("2026-01-01T11:59:59", "before_transaction"), ("2020-01-01T00:00:00", "before_transaction"),
    ("2025-12-31", "before_transaction"), ("2099-01-01T00:00:00", "in_future"),
]  # fmt: skip


@pytest.mark.parametrize(("moment", "code"), MOMENTS)
def test_a_moment_that_cannot_be_is_refused_by_row(gateway: Serve, moment: str, code: str) -> None:
    """Before the transaction, or in the future; nothing of the request is taken."""
    client = gateway()
    upload(client, [paid("1"), paid("2")])
    rows = [label("1"), {**label("2"), "confirmed_at": moment}, label("never")]
    answer = send(client, rows)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:fraud-detection:not_labels")
    (error,) = answer.json()["errors"]
    assert (error["row"], error["column"], error["code"]) == (2, "confirmed_at", code)
    assert "is it another moment" in error["hint"] or "is a clock wrong" in error["hint"]
    assert risk(client, "x", 10) == 0


@pytest.mark.parametrize(("moment", "code"), MOMENTS)
def test_a_moment_that_cannot_be_is_skipped_by_row(gateway: Serve, moment: str, code: str) -> None:
    """The others are taken, and each row is counted once."""
    client = gateway()
    upload(client, [paid("1"), paid("2", shop="t")])
    rows = [{**label("2"), "confirmed_at": moment}, label("never"), label("1")]
    answer = send(client, rows, "?on_error=skip").json()
    (error,) = answer.pop("errors")
    assert (error["row"], error["column"], error["code"]) == (1, "confirmed_at", code)
    assert answer == {**removed(3, 1, 1, [2]), "skipped": 1}
    assert (risk(client, "x", 10), risk(client, "x", 10, "t")) == (1, 0)


@pytest.mark.parametrize("moment", ["2026-01-01", "2026-01-01T12:00:00", "2026-01-01T12:00:01"])
def test_a_moment_of_the_transaction_itself_is_taken(gateway: Serve, moment: str) -> None:
    """A day alone is all of that day."""
    client = gateway()
    upload(client, [paid("1")])
    assert send(client, {**label("1"), "confirmed_at": moment}).json() == removed(1, 1, 1, [])


def test_one_early_label_of_a_large_file_keeps_all_from_being_taken(gateway: Serve) -> None:
    """Though it stands in the last of many blocks."""
    client = gateway()
    upload(client, [paid(str(place)) for place in range(1_200)])
    lines = [f"{place},1,2026-01-0{2 if place < 1_199 else 1}T00:00:01" for place in range(1_200)]
    answer = send_csv(client, "\n".join(["transaction_id,fraud,confirmed_at", *lines]))
    assert [(each["row"], each["code"]) for each in answer.json()["errors"]] == [(1_200, "before_transaction")]
    assert risk(client, "x", 10) == 0


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("transaction_id\n1\n", [("fraud", "missing_column")]),
        ("transaction_id,fraud,amount\n1,1,2\n", [("#3", "unknown_column")]),
        ("fraud,fraud,transaction_id\n1,1,2\n", [("fraud", "duplicate_column")]),
    ],
)
def test_a_header_of_other_columns_is_refused(gateway: Serve, text: str, errors: list[tuple[str, str]]) -> None:
    """The detail says which columns there are."""
    fields = send_csv(gateway(), text).json()
    result = [(each["column"], each["code"]) for each in fields["errors"]]
    assert result == errors
    assert fields["detail"] == "The columns are transaction_id, fraud and confirmed_at."


@pytest.mark.parametrize("text", ["", "transaction_id,fraud\n", '"', "\n\n"])
def test_a_file_without_labels_is_refused(gateway: Serve, text: str) -> None:
    """Be it empty, a header alone, or no CSV."""
    assert send_csv(gateway(), text).status_code == 422


def test_a_clock_without_a_now_needs_the_moment(gateway: Serve, model_server: TinyServer, tmp_path: Path) -> None:
    """Where times are seconds since some moment, so is `confirmed_at`, and without it a label is at fault."""
    golden = f"{HEADER}\ng-1,100,golden,golden,10\n"
    model_server.serve(write_version(tmp_path / "clock", 1, CLOCK, golden, SLOPE, history=GOLDEN_HISTORY))
    client = gateway()
    upload(client, ["1,43200,c,s,10"])
    fields = send(client, {"transaction_id": "1", "fraud": True}).json()
    (error,) = fields["errors"]
    assert (error["row"], error["column"], error["code"]) == (1, "confirmed_at", "missing")
    assert send_csv(client, "transaction_id,fraud\n1,1\n").json()["errors"][0]["code"] == "missing_column"
    assert send(client, {"transaction_id": "1", "fraud": True, "confirmed_at": 86_400}).json() == removed(1, 1, 1, [])
    assert counts(upload(client, [f"2,{43_200 + 9 * 86_400},c,s,10"])) == [1]


def test_without_history_there_is_nothing_to_label(gateway: Serve, model_server: TinyServer, tmp_path: Path) -> None:
    """409: transactions are not remembered."""
    model_server.serve(write_version(tmp_path / "plain", 1, CONTRACT))
    answer = send(gateway(), label("1"))
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:fraud-detection:not_remembered")


def test_without_a_redis_there_is_nothing_to_label(serve: Serve) -> None:
    """409 too: nobody waits for what is not configured."""
    assert send(serve(), label("1")).status_code == 409


def test_while_redis_is_away_labels_are_not_taken(gateway: Serve, valkey: Valkey) -> None:
    """503 with Retry-After, soon, and the same request is taken when it is back."""
    client = gateway()
    upload(client, [paid("1")])
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        frozen = send(client, label("1"))
    finally:
        os.kill(valkey.pid, signal.SIGCONT)
    until(lambda: send(client, label("1")).status_code == 200, WAIT_SECONDS)
    valkey.kill()
    gone = send(client, label("1"))
    for answer in (frozen, gone):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["type"] == "urn:fraud-detection:labels_not_taken"
    valkey.start()
    until(lambda: send(client, label("1")).status_code == 200, WAIT_SECONDS)


def test_a_redis_that_forgot_the_script_is_sent_it_again(gateway: Serve, valkey: Valkey) -> None:
    """As after a restart."""
    client = gateway()
    upload(client, [paid("1"), paid("2")])
    send(client, label("1"))
    with valkey.raw() as redis:
        redis.script_flush()
    assert send(client, label("2")).json() == removed(1, 1, 1, [])


def test_a_large_file_is_taken_whole(gateway: Serve) -> None:
    """In blocks; each row is accepted or named."""
    client = gateway()
    upload(client, [paid(str(place)) for place in range(3_000)])
    text = "transaction_id,fraud\n" + "".join(f"{place},{place % 2}\n" for place in range(1_000, 4_000))
    answer = send_csv(client, text).json()
    assert answer == removed(3_000, 2_000, 2_000, list(range(2_001, 3_001)))


def test_two_gateways_with_the_same_labels_at_once_count_each_once(gateway: Serve, valkey: Valkey) -> None:
    """Each label goes to both, in any order: together they change each transaction once, and every count is exact."""
    first, second, number = gateway(), gateway(), 1_000
    upload(first, [paid(str(place), shop=str(place % 7)) for place in range(number)])
    until(lambda: answered(valkey), WAIT_SECONDS)
    labels = [label(str(place), fraud=place % 4 == 0) for place in range(number)]
    parts = [(client, labels[at : at + 50]) for at in range(0, number, 50) for client in (first, second)]
    random.Random(5).shuffle(parts)  # noqa: S311 - an order, no secret
    with ThreadPoolExecutor(8) as pool:
        answers = [answer.json() for answer in pool.map(lambda each: send(*each), parts)]
    assert sum(answer["accepted"] for answer in answers) == 2 * number
    assert sum(answer["changed"] for answer in answers) == number
    with valkey.raw() as redis:
        wait_for_count = cast("dict[bytes, bytes]", redis.hgetall(COUNTS))
        assert wait_for_count == {b"1:passed:fraud": b"250", b"1:passed:genuine": b"750"}
        assert frauds(redis) == number // 4


def frauds(redis: Redis) -> int:
    """How many frauds the states of all shops hold."""
    plan = Plan.of([SHOPS])
    assert plan
    (layout,) = (each for each in plan.layouts if each.delay is not None)
    states = cast(
        "list[bytes]", redis.mget([key for key in redis.scan_iter() if key.startswith(STATE + layout.digest)])
    )
    sizes = np.array([len(state) for state in states])
    return int(decode_records(layout, sizes, b"".join(states))[0].records["frauds"].sum())


def test_metrics_show_what_labels_say_of_decisions(gateway: Serve, valkey: Valkey) -> None:
    """Precision and recall by version, at every gateway; a correction moves them, and without Redis they stay."""
    first, second = gateway(review_threshold=0.269, decline_threshold=0.9), gateway()
    assert shown(first) == {}
    upload(first, [paid("1")])
    until(lambda: answered(valkey), WAIT_SECONDS)
    send(first, label("1"))
    upload(first, [paid("2", 10), paid("3", 10, "other"), paid("4", 10, "other")])
    until(lambda: answered(valkey), WAIT_SECONDS)
    send(second, [label("2", day=12), label("3", day=12), label("4", fraud=False, day=12)])
    named = 'model_version="1"'
    until(lambda: shown(second).get(f"live_recall{{{named}}}") == 1 / 3, WAIT_SECONDS)
    until(lambda: shown(first) == shown(second), WAIT_SECONDS)
    assert shown(first)[f"live_precision{{{named}}}"] == 1
    send(first, label("2", fraud=False, day=12))
    until(lambda: shown(second).get(f"live_precision{{{named}}}") == 0, WAIT_SECONDS)
    valkey.kill()
    assert shown(second)[f'labelled_transactions{{decision="flagged",label="genuine",{named}}}'] == 1


def test_counts_that_nobody_can_read_end_nothing(gateway: Serve, valkey: Valkey, log_lines: Path) -> None:
    """What stands there by mistake is told, and what comes after it is read."""
    client = gateway()
    with valkey.raw() as redis:
        redis.hset(COUNTS, mapping={"a:b": 1})
        until(lambda: "label counts not read" in log_lines.read_text(), WAIT_SECONDS)
        redis.delete(COUNTS)
        redis.hset(COUNTS, mapping={"9:passed:fraud": 4})
    until(lambda: 'live_recall{model_version="9"}' in shown(client), WAIT_SECONDS)


def test_metrics_show_the_newest_versions(gateway: Serve, valkey: Valkey) -> None:
    """A few of them, however many there were."""
    client = gateway()
    with valkey.raw() as redis:
        redis.hset(COUNTS, mapping={f"{version}:flagged:fraud": 1 for version in range(1, 31)})
    until(lambda: bool(shown(client)), WAIT_SECONDS)
    result = {line.split('"')[1] for line in shown(client) if line.startswith("live_recall")}
    assert result == {str(version) for version in range(21, 31)}


def test_nothing_of_labels_is_logged(gateway: Serve, log_lines: Path, valkey: Valkey) -> None:
    """Neither ids nor moments, taken or not."""
    client = gateway()
    upload(client, [paid("secret-id")])
    send(client, label("secret-id"))
    send_csv(client, "transaction_id,fraud\nsecret-id,secret-label\n")
    valkey.kill()
    send(client, label("secret-id"))
    text = log_lines.read_text()
    assert "labels not taken" in text
    assert "secret" not in text
    assert "2026-01-03" not in text


def test_labels_need_a_key_and_have_the_limits_of_uploads(gateway: Serve) -> None:
    """401, 413 and 415, as elsewhere; JSON of more labels than there may be transactions is refused."""
    client = gateway(max_upload_bytes=2_000, max_transactions=2)
    assert client.post("/v1/labels", json=label("1"), headers={**AUTHORISED, "X-API-Key": "no"}).status_code == 401
    assert send_csv(client, "x" * 3_000).status_code == 413
    assert client.post("/v1/labels", content="x", headers={"content-type": "text/plain"}).status_code == 415
    assert send(client, [label("1")] * 3).status_code == 422
