"""Whatever is sent is answered soon and honestly, by the real app, handler and Valkey; nothing of it is repeated.

BODIES=100000 makes so many; a failure names its contract, seed and number, and is the same again.
"""

import asyncio
import csv
import io
import json
import logging
import os
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from contract.schema import Contract
from gateway.app import create_app
from gateway.logs import LineHandler
from gateway.settings import GatewaySettings
from tests.gateway.contracts import CONTRACTS, settings_of, write_live
from tests.gateway.generated_bodies import Made, Maker
from tests.gateway.trials import Valkey

BODIES = int(os.environ.get("BODIES", "5000"))
SEED = int(os.environ.get("SEED", "12"))
MOST_SECONDS = 15.0
MARKS = re.compile(r"zq[0-9a-f]{8}qz")
KEY = (b"x-api-key", b"test-key")
PROBLEM = "application/problem+json"


class ModelResponse:
    """What the app sent."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.body = b""

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Takes what an ASGI app sends."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """The app between its start and its end, ready; what its requests are given."""
    async with app.router.lifespan_context(app) as state:
        given = dict(state or {})
        async with asyncio.timeout(60):
            while (await answer(app, given, Made("/v1/contract", "", b"", "-"), "GET")).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield given


async def answer(app: FastAPI, state: Mapping[str, Any], made: Made, method: str = "POST") -> ModelResponse:
    """What it says to one request."""
    headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in made.headers.items()]
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "scheme": "http", "path": made.path,
        "raw_path": made.path.encode(), "query_string": made.query.encode("utf-8", "replace"), "root_path": "",
        "headers": [KEY, (b"content-length", str(len(made.body)).encode()), *headers], "state": dict(state),
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    messages: Iterator[MutableMapping[str, Any]] = iter(
        [{"type": "http.request", "body": made.body, "more_body": False}]
    )

    async def receive() -> MutableMapping[str, Any]:
        return next(messages, {"type": "http.disconnect"})

    output = ModelResponse()
    await app(scope, receive, output.send)
    return output


def check(made: Made, output: ModelResponse) -> None:
    """An answer is honest: its status, what it holds, and that the mark is nowhere in it that may not have it."""
    assert 200 <= output.status < 500, output.body
    kind = output.headers["content-type"].partition(";")[0]
    if output.status >= 400:
        assert kind == PROBLEM
        check_problem(json.loads(output.body), output.status)
        assert made.mark.encode() not in output.body
    elif kind == "text/csv":
        assert {"fraud_probability", "decision", "model_version"} <= set(
            next(csv.reader(io.StringIO(output.body.decode())))
        )
    else:
        check_reply(made, json.loads(output.body))


def check_problem(problem: dict[str, Any], status: int) -> None:
    """RFC 9457, and where the faults are."""
    assert problem.keys() <= {"type", "title", "status", "detail", "errors", "error_count"}
    assert (problem["status"], problem["type"].rpartition(":")[0]) == (status, "urn:fraud-detection")
    assert len(problem.get("errors", [])) <= min(20, problem.get("error_count", 0))
    check_faults(problem.get("errors", []))


def check_faults(faults: list[dict[str, Any]]) -> None:
    """Each has its place and its code."""
    for fault in faults:
        assert fault.keys() - {"hint"} == {"row", "column", "code"}
        assert isinstance(fault["row"], int | None)


def check_reply(made: Made, reply: dict[str, Any]) -> None:
    """Every row is accounted for."""
    if "files" in reply:
        for file in reply["files"]:
            file.pop("file")
            if file["status"] == 200:
                check_reply(made, file["result"])
            else:
                assert 400 <= file["status"] < 500, file
                check_problem(file["problem"], file["status"])
    elif "labels" in reply:
        assert reply["labels"] == reply["accepted"] + len(reply["unknown"]) + reply.get("skipped", 0)
    else:
        assert reply["rows"] == len(reply["predictions"]) + reply.get("skipped", 0)
        for prediction in reply["predictions"]:
            prediction.pop("id")
            assert 0 <= prediction["fraud_probability"] <= 1
        assert {fault["row"] for fault in reply.get("errors", [])}.isdisjoint(
            prediction["row"] for prediction in reply["predictions"]
        )
    check_faults(reply.get("errors", []))
    assert made.mark not in json.dumps(reply, ensure_ascii=False)


async def ask_all(app: FastAPI, contract: Contract, count: int) -> tuple[Counter[int], float, set[str]]:
    """How often which status was answered, the longest answer's seconds, and the marks."""
    found, longest, marks = Counter[int](), 0.0, set[str]()
    async with running(app) as state:
        for number in range(count):
            made = Maker(contract, SEED, number).made()
            marks.add(made.mark)
            started = time.perf_counter()
            try:
                async with asyncio.timeout(MOST_SECONDS):
                    output = await answer(app, state, made)
                check(made, output)
            except Exception as error:
                raise AssertionError(f"{contract.name}, seed {SEED}, number {number}: {made}") from error
            longest = max(longest, time.perf_counter() - started)
            found[output.status] += 1
        shown = await answer(app, state, Made("/metrics", "", b"", "-"), "GET")
        assert not marks & set(MARKS.findall(shown.body.decode()))
    return found, longest, marks


@pytest.mark.timeout(max(300, BODIES // 10))
@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_no_body_breaks_or_hangs_it_or_comes_back(
    tmp_path: Path, server: Valkey, contract: Contract, log_lines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No 5xx, no answer after 15 s, no mark in an answer, the log or the metrics."""
    logging.getLogger().handlers = [each for each in logging.getLogger().handlers if isinstance(each, LineHandler)]
    settings = GatewaySettings.model_validate(settings_of(tmp_path, redis_url=server.url))
    app = create_app(settings, transport=write_live(tmp_path, contract))
    found, longest, marks = asyncio.run(ask_all(app, contract, BODIES // len(CONTRACTS)))
    with capsys.disabled():
        print(f"\n{contract.name}: {dict(sorted(found.items()))}, at most {longest:.2f} s")
    assert min(found[200], found[422]) > BODIES // len(CONTRACTS) // 10, "bodies of one kind show little"
    text = log_lines.read_text()
    assert not marks & set(MARKS.findall(text))
