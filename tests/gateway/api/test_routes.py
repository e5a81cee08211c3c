"""What a caller sees, path by path, over the real app and the real handler."""

import csv
import gzip
import io
import json
import logging
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from contract.schema import Column, Contract, Feature, FeatureKind, Kind
from releases.record import Release
from tests.gateway.conftest import Serve
from tests.gateway.waiting import until
from tests.tiny import GOLDEN_CSV, HEADER, TinyServer, write_version

GOOD = {"transaction_id": "a", "timestamp": "2026-01-01T10:00:00", "amount": 10, "channel": "chip"}
ROW = "a,2026-01-01T10:00:00,10,30,chip"
SECRET = "4556-7375-8689-9855"


def post_csv(client: TestClient, text: str | bytes, **headers: str) -> tuple[int, dict[str, object]]:
    """Status and JSON of an upload as text/csv."""
    answer = client.post("/upload", content=text, headers={"content-type": "text/csv", **headers})
    return answer.status_code, answer.json()


def test_upload_scores_every_row(client: TestClient) -> None:
    """The guide's upload answers the version, the counts, and a prediction for each row in order."""
    answer = client.post("/upload", files={"file": ("test_data.csv", GOLDEN_CSV)}).json()
    assert (answer["model_version"], answer["rows"], answer["flagged"]) == (1, 2, 1)
    assert [(p["row"], p["id"], p["decision"]) for p in answer["predictions"]] == [
        (1, "g-1", "approve"),
        (2, "g-2", "decline"),
    ]


def test_raw_csv_is_the_same(client: TestClient) -> None:
    """A text/csv body gives what the multipart upload of the same file gives."""
    form = client.post("/upload", files={"file": ("a.csv", GOLDEN_CSV)}).json()
    assert post_csv(client, GOLDEN_CSV) == (200, form)


def test_json_is_the_same(client: TestClient) -> None:
    """A transaction has the same probability as JSON and as CSV."""
    as_csv = post_csv(client, f"{HEADER}\n{ROW}\n")[1]["predictions"]
    as_json = client.post("/v1/score", json={**GOOD, "age": 30}).json()["predictions"]
    assert as_csv == as_json


def test_json_list_keeps_its_order(client: TestClient) -> None:
    """A list is answered transaction by transaction."""
    answer = client.post("/v1/score", json=[GOOD, {**GOOD, "transaction_id": "b"}]).json()
    assert [prediction["id"] for prediction in answer["predictions"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": "10"}, "not_a_number"),
        ({"amount": True}, "not_a_number"),
        ({"amount": None}, "missing"),
        ({"amount": 10_001}, "out_of_bounds"),
        ({"channel": 3}, "not_text"),
        ({"channel": "\ud800"}, "not_text"),
        ({"timestamp": 5}, "not_a_date"),
        ({"extra": 1}, "unknown_column"),
    ],
)
def test_json_is_strict(client: TestClient, change: dict[str, object], code: str) -> None:
    """A value of another type, an unknown field or a lone surrogate is 422 with its code."""
    content = __import__("json").dumps([GOOD, GOOD | change])
    answer = client.post("/v1/score", content=content)
    assert answer.status_code == 422
    assert [(fault["row"], fault["code"]) for fault in answer.json()["errors"]] == [(2, code)]


def test_json_overflow_is_refused(client: TestClient) -> None:
    """1e999 is no number that can be scored."""
    content = '{"transaction_id": "a", "timestamp": "2026-01-01", "amount": 1e999, "channel": "x"}'
    assert client.post("/v1/score", content=content).json()["errors"][0]["code"] == "not_finite"


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("", 422, None),
        (f"{HEADER}\n", 422, None),
        (b"\x89PNG\r\n\x1a\n\x00\x00", 415, None),
        (f"{HEADER}\nü".encode("latin-1"), 415, None),
        (f"{HEADER},x\n{ROW},1\n", 422, "unknown_column"),
        (f"{HEADER},age\n{ROW},1\n", 422, "duplicate_column"),
        ("amount\n1\n", 422, "missing_column"),
        (",".join(["amount"] * 20_000), 422, "too_many_columns"),
        (f"{HEADER}\n{ROW},9\n", 422, "field_count"),
        (f"{HEADER}\na,b\n", 422, "field_count"),
        (f"{HEADER}\n{ROW.replace('10,', 'ten,')}\n", 422, "not_a_number"),
        (f"{HEADER}\n{ROW.replace('10,30', 'NaN,30')}\n", 422, "not_finite"),
        (f"{HEADER}\n{ROW.replace('10,30', '-inf,30')}\n", 422, "not_finite"),
        (f"{HEADER}\n{ROW.replace('10,30', '-1,30')}\n", 422, "out_of_bounds"),
        (f"{HEADER}\n{ROW.replace('2026-01-01', '2026-02-30')}\n", 422, "not_a_date"),
        (f"{HEADER}\n{ROW.replace('10,30', ',30')}\n", 422, "missing"),
        (f'{HEADER}\n"{ROW}\n', 422, None),
    ],
)
def test_bad_files_are_named(client: TestClient, text: str | bytes, status: int, code: str | None) -> None:
    """Each kind of bad file has its status, and its first fault the code."""
    answered, body = post_csv(client, text)
    errors = body.get("errors", [{"code": None}])
    assert (answered, errors[0]["code"]) == (status, code)  # type: ignore[index] # JSON


def test_a_byte_order_mark_is_fine(client: TestClient) -> None:
    """A file that a spreadsheet wrote is read."""
    assert post_csv(client, "\ufeff" + GOLDEN_CSV)[0] == 200


def test_an_unseen_category_is_scored(client: TestClient) -> None:
    """A category that training never saw is scored as unknown."""
    assert post_csv(client, f"{HEADER}\n{ROW.replace('chip', 'telepathy')}\n")[0] == 200


def test_skipping_scores_the_others_and_lists_every_fault(client: TestClient) -> None:
    """With on_error=skip the good rows keep their numbers and all faults are listed, not the first 20."""
    rows = "\n".join([ROW, *["bad"] * 30, ROW])
    answer = client.post(
        "/upload?on_error=skip", content=f"{HEADER}\n{rows}\n", headers={"content-type": "text/csv"}
    ).json()
    assert [prediction["row"] for prediction in answer["predictions"]] == [1, 32]
    assert (answer["rows"], answer["skipped"], len(answer["errors"])) == (32, 30, 30)


def test_nothing_good_left_is_still_an_answer(client: TestClient) -> None:
    """A file whose every row is skipped is answered with no prediction."""
    answer = client.post(
        "/upload?on_error=skip", content=f"{HEADER}\nbad\n", headers={"content-type": "text/csv"}
    ).json()
    assert (answer["predictions"], answer["flagged"], answer["skipped"]) == ([], 0, 1)


def test_csv_answer_adds_columns(client: TestClient) -> None:
    """Accept: text/csv answers the uploaded rows with probability, decision and version."""
    headers = {"content-type": "text/csv", "accept": "text/csv"}
    text = client.post("/upload", content=GOLDEN_CSV, headers=headers).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["decision"] for row in rows] == ["approve", "decline"]
    assert [row["model_version"] for row in rows] == ["1", "1"]
    assert [row["transaction_id"] for row in rows] == ["g-1", "g-2"]


def test_csv_formulas_are_escaped(client: TestClient) -> None:
    """No cell of a scored or a skipped row starts a formula; a checked number keeps its minus sign."""
    rows = f"=1+1,2026-01-01,1,-5,@SUM(A1)\n=2,2026-01-01,=cmd(),-5,-x\n{ROW},=3\n\u200b=4,2026-01-01,1,1,x;=5\n"
    headers = {"content-type": "text/csv", "accept": "text/csv"}
    text = client.post("/upload?on_error=skip", content=f"{HEADER}\n{rows}", headers=headers).text
    cells = [cell for record in csv.reader(io.StringIO(text)) for cell in record]
    assert [cell for cell in cells if re.search("^\u200b?[=+@-]|^[^'].*;=", cell)] == ["-5"]


def test_a_skipped_row_forges_no_decision(client: TestClient) -> None:
    """Surplus cells of a skipped row stand behind the added columns, not under them; a short row is padded."""
    rows = "a,2026-01-01,1,2,chip,0.0001,approve,1\nb\n"
    headers = {"content-type": "text/csv", "accept": "text/csv"}
    text = client.post("/upload?on_error=skip", content=f"{HEADER}\n{rows}", headers=headers).text
    records = list(csv.DictReader(io.StringIO(text)))
    assert [(record["fraud_probability"], record["decision"]) for record in records] == [("", "error")] * 2


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("text/csv, application/json;q=0.5", "text/csv"),
        ("application/json, text/csv;q=0.1", "application/json"),
        ("text/csv;q=0", "application/json"),
        ("text/csvx", "application/json"),
        ("*/*", "application/json"),
        (";;q=x,", "application/json"),
    ],
)
def test_the_answer_is_of_the_kind_that_is_preferred(client: TestClient, accept: str, kind: str) -> None:
    """Accept is obeyed with its ranks."""
    headers = {"content-type": "text/csv", "accept": accept}
    assert client.post("/upload", content=GOLDEN_CSV, headers=headers).headers["content-type"].startswith(kind)


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_may_be_heads(client: TestClient, path: str) -> None:
    """A load balancer may probe with HEAD."""
    assert client.head(path).status_code == 200


def test_no_redirect_repeats_the_caller(client: TestClient) -> None:
    """A path with a slash too many is not found; it is not redirected to the caller's own host."""
    assert client.post("/upload/?q=1", follow_redirects=False).status_code == 404


def test_a_large_json_list_is_scored_like_a_small_one(client: TestClient) -> None:
    """A body that is read in a thread gives each transaction what it gets alone."""
    alone = client.post("/v1/score", json=GOOD).json()["predictions"][0]
    many = client.post("/v1/score", json=[GOOD] * 500).json()["predictions"]
    assert [{**each, "row": 1} for each in many] == [alone] * 500


def test_a_batch_answers_each_file(client: TestClient) -> None:
    """Files are answered in their order, and a bad one does not spoil the others."""
    files = [("files", (name, text)) for name, text in [("a.csv", GOLDEN_CSV), ("b.csv", ""), ("c.csv", GOLDEN_CSV)]]
    answers = client.post("/predict/batch", files=files).json()["files"]
    assert [(answer["file"], answer["status"]) for answer in answers] == [
        ("a.csv", 200),
        ("b.csv", 422),
        ("c.csv", 200),
    ]
    assert answers[0]["result"] == answers[2]["result"]
    assert answers[1]["problem"]["status"] == 422


def test_a_batch_repeats_no_card_number(client: TestClient) -> None:
    """A file whose name is a card number comes back by its position, good or not; a plain name comes back."""
    names = ["a.csv", "4556 7375 8689 9855.csv", "4556-7375-8689-9855.xls", "März 2026.csv"]
    answers = client.post("/predict/batch", files=[("files", (name, GOLDEN_CSV)) for name in names]).json()["files"]
    assert [answer["file"] for answer in answers] == ["a.csv", "#2", "#3", "März 2026.csv"]
    assert [answer["status"] for answer in answers] == [200, 200, 415, 200]


@pytest.mark.parametrize(
    ("path", "arguments", "status"),
    [
        ("/upload", {"files": {"file": ("data.xlsx", GOLDEN_CSV)}}, 415),
        ("/upload", {"files": {"other": ("a.csv", GOLDEN_CSV)}}, 422),
        ("/upload", {"files": [("file", ("a.csv", "a")), ("file", ("b.csv", "b"))]}, 422),
        ("/upload", {"data": {"file": "text"}}, 415),
        ("/upload", {"json": {}}, 415),
        ("/upload", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 422),
        ("/upload", {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 422),
        (
            "/upload",
            {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b; charset=zip"}},
            422,
        ),
        ("/upload", {"files": [("file", ("a.csv", GOLDEN_CSV)), ("other", ("b.csv", GOLDEN_CSV))]}, 422),
        ("/upload", {"content": b"--b\r\n\r\n", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 422),
        ("/predict/batch", {"files": [("files", (f"{i}.csv", "a")) for i in range(21)]}, 422),
        ("/predict/batch", {"content": GOLDEN_CSV, "headers": {"content-type": "text/csv"}}, 415),
        ("/upload?on_error=ignore", {"content": GOLDEN_CSV, "headers": {"content-type": "text/csv"}}, 422),
    ],
)
def test_bad_requests_have_their_status(
    client: TestClient, path: str, arguments: dict[str, object], status: int
) -> None:
    """A form that is none, without the file, or with another, is the caller's to mend."""
    answer = client.post(path, **arguments)  # type: ignore[arg-type] # a table of cases
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_cut_form_is_not_scored(client: TestClient) -> None:
    """A form that ends in the middle of a file, or before its closing boundary, is refused: files may be missing."""
    part = '--b\r\nContent-Disposition: form-data; name="files"; filename="a.csv"\r\n\r\n' + GOLDEN_CSV + "\r\n"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    for body in (part[:-40], part, part + part[:-40], part + part + "--b"):
        assert client.post("/predict/batch", content=body, headers=headers).status_code == 422
    assert client.post("/predict/batch", content=part + "--b--\r\n", headers=headers).status_code == 200


def test_a_charset_of_a_form_is_not_obeyed(client: TestClient) -> None:
    """Python has charsets that give what is no text, or take minutes: a form is read as UTF-8 whatever it says."""
    body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="\\ud800.csv"\r\n\r\nx\r\n--b--\r\n'
    headers = {"content-type": "multipart/form-data; boundary=b; charset=raw_unicode_escape"}
    answer = client.post("/predict/batch", content=body, headers=headers)
    assert [file["status"] for file in answer.json()["files"]] == [422]


def test_the_root_leads_to_the_documentation(client: TestClient) -> None:
    """A person who opens the address in a browser finds the documentation."""
    answer = client.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


def test_a_body_over_the_limit_is_413(serve: Serve) -> None:
    """The limit holds for a body that streams without a length."""
    client = serve(max_upload_bytes=1000)
    answer = client.post("/upload", content=iter([b"x" * 600] * 2), headers={"content-type": "text/csv"})
    assert answer.status_code == 413


def test_a_file_over_the_limit_spoils_only_itself(serve: Serve) -> None:
    """In a batch the limit of one file is its own 413."""
    client = serve(max_upload_bytes=500)
    files = [("files", ("a.csv", GOLDEN_CSV)), ("files", ("b.csv", "x" * 501))]
    answers = client.post("/predict/batch", files=files).json()["files"]
    assert [answer["status"] for answer in answers] == [200, 413]


def test_no_value_is_repeated(client: TestClient, log_lines: Path) -> None:
    """What was sent stands in no error, no log line and no metric."""
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # the test's own client logs the addresses that it calls
    bodies = [
        client.post(
            "/upload", content=f"{HEADER}\n{SECRET},{SECRET},{SECRET},1,x\n", headers={"content-type": "text/csv"}
        ),
        client.post("/upload", content=f"{SECRET}\n1\n", headers={"content-type": "text/csv"}),
        client.post("/v1/score", json={SECRET: SECRET, "amount": SECRET}),
        client.post(f"/v1/score?on_error={SECRET}", json=GOOD),
        client.post(f"/{SECRET}"),
        client.post("/upload", content=b"x", headers={"content-type": f"text/{SECRET}"}),
    ]
    assert all(answer.status_code >= 400 for answer in bodies)
    assert not [answer.text for answer in bodies if SECRET in answer.text]
    assert '"status": 422' in log_lines.read_text()
    assert SECRET not in log_lines.read_text()
    assert SECRET not in client.get("/metrics").text


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("PUT", "/upload", 405)])
def test_the_router_speaks_problems_too(client: TestClient, method: str, path: str, status: int) -> None:
    """An unknown path and a wrong method are problem+json."""
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_contract_tells_what_to_send(client: TestClient) -> None:
    """The contract names the version, the columns without the label, and the thresholds."""
    answer = client.get("/v1/contract").json()
    assert [column["name"] for column in answer["columns"]] == HEADER.split(",")
    assert answer["decision_thresholds"] == {"review": 0.5, "decline": 0.9}


def test_metrics_have_the_guides_names(client: TestClient) -> None:
    """Predictions and latency are counted under the names that the guide uses."""
    client.post("/upload", content=GOLDEN_CSV, headers={"content-type": "text/csv"})
    text = client.get("/metrics").text
    assert 'fraud_predictions_total{decision="decline",model_version="1"} 1.0' in text
    assert "prediction_latency_seconds_count 1.0" in text
    assert 'http_requests_total{method="POST",route="/upload",status="200"} 1.0' in text
    assert 'stage_seconds_count{stage="model"} 1.0' in text


def test_a_safe_request_id_is_echoed(client: TestClient) -> None:
    """A caller's own request id comes back; one that could forge a log line or hold a card number does not."""
    assert client.get("/livez", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    for given in ("a b", "a-4556-7375-8689-9855", "4556737586899855"):
        assert client.get("/livez", headers={"x-request-id": given}).headers["x-request-id"] != given


def test_another_version_is_followed_without_a_restart(
    client: TestClient, model_server: TinyServer, tmp_path: Path
) -> None:
    """When the record names a version with other columns, the running gateway reads and scores by them."""
    contract = Contract("other", (Column("price", Kind.NUMBER),), (Feature("price", FeatureKind.NUMBER, "price"),))
    model_server.serve(write_version(tmp_path / "v2", 2, contract, "price\n10\n2000\n"), 2)
    (tmp_path / "release.json").write_bytes(Release(2, 1, "2026-01-02T00:00:00+00:00").to_bytes())
    until(lambda: client.get("/v1/contract").json()["model_version"] == 2)
    assert post_csv(client, "price\n5000\n") == (
        200,
        {
            "model_version": 2,
            "rows": 1,
            "flagged": 1,
            "notes": [],
            "predictions": [
                {"row": 1, "id": None, "fraud_probability": 1.0, "decision": "decline", "model_version": 2}
            ],
        },
    )
    assert post_csv(client, GOLDEN_CSV)[0] == 422


@pytest.mark.parametrize(
    ("path", "kind", "closed"),
    [("/upload", "text/xml", True), ("/nowhere", "text/csv", True), ("/upload", "text/csv", False)],
)
def test_a_connection_ends_behind_a_body_that_nobody_read(
    client: TestClient, path: str, kind: str, closed: bool
) -> None:
    """An answer that was given before the body was read closes the connection: the body would be the next request."""
    answer = client.post(path, content=GOLDEN_CSV, headers={"content-type": kind})
    assert (answer.headers.get("connection") == "close") is closed


GERMAN = GOLDEN_CSV.replace(",", ";").encode("utf-16")


@pytest.mark.parametrize("body", [GERMAN, GOLDEN_CSV.replace(",", "\t").encode(), b"sep=,\n" + GOLDEN_CSV.encode()])
def test_a_foreign_file_is_scored_as_the_plain_one(client: TestClient, body: bytes) -> None:
    """Semicolons in UTF-16, tabs, and a line that names the separator."""
    assert post_csv(client, body) == post_csv(client, GOLDEN_CSV)


def test_the_csv_answer_to_a_foreign_file_keeps_its_separator(client: TestClient) -> None:
    """In UTF-8, with the columns added behind its own."""
    answer = client.post("/upload", content=GERMAN, headers={"content-type": "text/csv", "accept": "text/csv"}).text
    lines = answer.splitlines()
    assert lines[0] == ";".join([HEADER.replace(",", ";"), "fraud_probability", "decision", "model_version"])
    assert {line.count(";") for line in lines} == {HEADER.count(",") + 3}
    assert all("." in line.split(";")[-3] for line in lines[1:])


def test_the_csv_answer_to_a_file_with_decimal_commas_has_decimal_commas(client: TestClient) -> None:
    """A spreadsheet of that locale would take a point in the probability for something else."""
    rows = "\n".join([HEADER, ROW.replace(",10,", ",1250.75,")]).replace(",", ";").replace("1250.75", "1.250,75")
    answer = client.post("/upload", content=rows, headers={"content-type": "text/csv", "accept": "text/csv"}).text
    cells = answer.splitlines()[1].split(";")
    assert "1.250,75" in cells
    assert "," in cells[-3]
    assert "." not in cells[-3]


def test_compressed_bodies_and_files_are_scored(client: TestClient) -> None:
    """By Content-Encoding, and by the name of a file; JSON likewise."""
    packed, expected = gzip.compress(GOLDEN_CSV.encode()), post_csv(client, GOLDEN_CSV)
    assert post_csv(client, packed, **{"content-encoding": "gzip"}) == expected
    assert client.post("/upload", files={"file": ("a.csv.gz", packed)}).json() == expected[1]
    as_json = gzip.compress(json.dumps(GOOD).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert client.post("/v1/score", content=as_json, headers=headers).json()["rows"] == 1
    assert post_csv(client, GOLDEN_CSV, **{"content-encoding": "br"})[0] == 415


@pytest.mark.parametrize("cut", [1, 9])
def test_a_damaged_compressed_body_is_the_callers_fault(client: TestClient, cut: int) -> None:
    """Of a batch it is that file's alone."""
    packed = gzip.compress(GOLDEN_CSV.encode())[:-cut]
    assert post_csv(client, packed, **{"content-encoding": "gzip"})[0] == 422
    files = [("files", ("a.csv.gz", packed)), ("files", ("b.csv", GOLDEN_CSV.encode()))]
    answers = client.post("/predict/batch", files=files).json()["files"]
    assert [answer["status"] for answer in answers] == [422, 200]


def test_json_lines_are_scored_as_a_list(client: TestClient) -> None:
    """One object a line; a line that is none is told."""
    text = "\n".join(json.dumps(GOOD | {"transaction_id": name}) for name in "ab") + "\n\n"
    headers = {"content-type": "application/x-ndjson"}
    answer = client.post("/v1/score", content=text, headers=headers).json()
    assert [prediction["id"] for prediction in answer["predictions"]] == ["a", "b"]
    refused = client.post("/v1/score", content=f"{text}x", headers=headers)
    assert (refused.status_code, refused.json()["detail"]) == (422, "The body is not JSON: each line is an object.")


def test_columns_that_the_model_does_not_know_are_ignored_on_demand(client: TestClient) -> None:
    """In files and objects; without it they are refused, and named."""
    other = {**GOOD, "age": 30, "note": "x"}
    body = f"note,{HEADER}\nx,{ROW}\n"
    plain = post_csv(client, f"{HEADER}\n{ROW}\n")
    answer = client.post("/upload?columns=ignore", content=body, headers={"content-type": "text/csv"})
    assert (answer.status_code, answer.json()) == plain
    assert client.post("/v1/score?columns=ignore", json=other).json()["predictions"] == plain[1]["predictions"]
    as_csv = client.post("/upload", content=body, headers={"content-type": "text/csv"})
    for refused in (as_csv, client.post("/v1/score", json=other)):
        assert refused.json()["errors"][0]["hint"].startswith("named note")


def test_names_are_matched_without_regard_to_their_spelling(client: TestClient) -> None:
    """Of columns and of keys, also of objects in objects."""
    plain = post_csv(client, f"{HEADER}\n{ROW}\n")
    assert post_csv(client, f"{HEADER.replace('_', ' ').title()}\n{ROW}\n") == plain
    titled = {name.replace("_", " ").title(): value for name, value in {**GOOD, "age": 30}.items()}
    assert client.post("/v1/score", json=titled).json()["predictions"] == plain[1]["predictions"]


def test_no_hint_repeats_what_could_be_a_value(client: TestClient) -> None:
    """A card number or an address in the place of a name, and cells at fault."""
    bodies = [
        f"{HEADER},{SECRET}\n{ROW},1\n",
        f"{SECRET}\n1\n",
        f"{HEADER}\na,{SECRET},10,30,chip\n",
        f"{HEADER}\na,2026-01-01,{SECRET},30,chip\n",
    ]
    for body in bodies:
        status, answer = post_csv(client, body)
        assert status == 422
        assert SECRET not in json.dumps(answer)


def test_a_file_can_be_checked_before_it_is_scored(client: TestClient) -> None:
    """What would be read of it, column by column, and nothing of it is counted."""
    body = f"note,{HEADER}\nx,{ROW}\n"
    check = client.post("/v1/check", content=body, headers={"content-type": "text/csv"}).json()
    assert (check["scores_whole"], check["rows"], check["good_rows"]) == (False, 1, 1)
    assert check["others"]["#1"].startswith("named note")
    assert [column["position"] for column in check["columns"]] == [2, 3, 4, 5, 6]
    form = client.post("/v1/check", files={"file": ("a.csv", GOLDEN_CSV)}).json()
    assert (form["scores_whole"], form["rows"]) == (True, 2)
    assert client.post("/v1/check", content=body, headers={"content-type": "application/pdf"}).status_code == 415
    refused = client.post("/v1/check", content="{}", headers={"content-type": "text/csv"})
    assert (refused.status_code, "is there a header" in refused.json()["detail"]) == (422, True)


ODD = f"{HEADER}\n1E+15,2026-01-01T10:00:00,10,30,teleport\n1E+15,2026-01-01T10:00:00,11,30,chip\n"
ODD_NOTES = {("unknown_category", "channel", 1, 0.5), ("repeated_id", "transaction_id", 1, 0.5)}
ODD_NOTES |= {("scientific_id", "transaction_id", 2, 1.0)}


def test_every_scoring_answer_has_notes(client: TestClient) -> None:
    """Of what is odd about its rows, each file of a batch its own; usually there are none."""
    usual = f"{HEADER}\n{ROW}\n"
    batch = client.post("/predict/batch", files=[("files", ("a.csv", text)) for text in (ODD, usual)]).json()["files"]
    odd = [post_csv(client, ODD)[1], batch[0]["result"]]
    plain = [post_csv(client, usual)[1], batch[1]["result"], client.post("/v1/score", json=GOOD).json()]
    assert [{tuple(note.values()) for note in answer["notes"]} for answer in odd] == [ODD_NOTES] * 2
    assert [answer["notes"] for answer in plain] == [[]] * 3


def test_a_csv_answer_has_its_notes_in_a_header(client: TestClient) -> None:
    """By code, with the rows that each is about; without any there is no such header."""
    headers = {"content-type": "text/csv", "accept": "text/csv"}
    answered = [client.post("/upload", content=text, headers=headers) for text in (ODD, f"{HEADER}\n{ROW}\n")]
    assert answered[0].headers["X-Notes"] == "unknown_category=1, repeated_id=1, scientific_id=2"
    assert "X-Notes" not in answered[1].headers


def test_notes_are_counted_by_code_and_column(client: TestClient) -> None:
    """The rows that they are about."""
    post_csv(client, ODD)
    post_csv(client, ODD)
    shown = client.get("/metrics").text
    assert 'notes_total{code="unknown_category",column="channel"} 2.0' in shown
    assert 'notes_total{code="scientific_id",column="transaction_id"} 4.0' in shown
