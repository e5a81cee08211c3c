"""What the greeting says: lines that work as pasted, no key, and the state of Redis."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from operations import settings
from operations.local import summary
from operations.local.programs import StackPlan, free_ports
from operations.processes.supervisor import Program


def found(root: Path, url: str = "http://127.0.0.1:1", **env: str) -> summary.StackSummary:
    """What a look finds with this environment, where the sample has the columns a and b."""
    (root / "examples").mkdir(exist_ok=True)
    (root / "examples" / "transactions.csv").write_text("a,b\n1,2\n")
    program = Program("toy", (), {}, root, root / "log")
    stack = StackPlan(program, program, None, url, "http://i", "http://m", "redis://r", "a-key")
    return summary.collect_summary(settings.stack_settings("127.0.0.1", 8000, env, root), stack, 1)


@contextmanager
def gateway(*columns: str) -> Iterator[tuple[str, list[str | None]]]:
    """A gateway whose live version takes these columns; its address, and the keys that it was sent."""
    keys: list[str | None] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers["X-API-Key"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"columns": [{"name": name} for name in columns]}).encode())

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", keys
        server.shutdown()
        thread.join()


def test_the_known_key_is_in_the_line(tmp_path: Path) -> None:
    """Without API_KEY one line is all it takes."""
    (line,) = summary.example_commands(found(tmp_path))
    assert '-H "X-API-Key: test-key"' in line


@pytest.mark.parametrize(("keys", "which"), [("secret", "the key"), ("secret, other", "one of the keys")])
def test_a_key_that_was_set_is_to_be_exported(tmp_path: Path, keys: str, which: str) -> None:
    """The other terminal does not know the key: the line before says so and does not repeat it."""
    first, line = summary.example_commands(found(tmp_path, API_KEY=keys))
    assert first == f"in the other terminal first: export API_KEY=...  ({which} that this stack was started with)"
    assert "$API_KEY" in line
    assert "secret" not in line


def test_a_sample_that_fits_is_offered(tmp_path: Path) -> None:
    """The order of the columns does not matter; one of several keys is used to ask."""
    with gateway("b", "a") as (url, keys):
        assert "/upload" in summary.example_commands(found(tmp_path, url, API_KEY="secret, other"))[-1]
    assert keys == ["secret"]


def test_a_sample_that_does_not_fit_is_not_offered(tmp_path: Path) -> None:
    """Where the live version takes other columns, the line points to them."""
    with gateway("b", "c") as (url, _):
        output, line = summary.example_commands(found(tmp_path, url))
    assert "not of the live version's columns" in output
    assert line == f'curl -H "X-API-Key: test-key" {url}/v1/contract'


def test_a_redis_that_does_not_answer_is_said(tmp_path: Path) -> None:
    """Where nobody listens at REDIS_URL the greeting says so; where somebody does, not."""
    dead = f"redis://127.0.0.1:{free_ports(1)[0]}/0"
    assert found(tmp_path, REDIS_URL=dead).redis == "the one of REDIS_URL (does not answer)"
    with socket.create_server(("127.0.0.1", 0)) as server:
        alive = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        assert found(tmp_path, REDIS_URL=alive).redis == "the one of REDIS_URL"


@pytest.mark.parametrize("url", ["redis://h:port", "unix:///nowhere/redis.sock", "redis://[half"])
def test_an_address_that_leads_nowhere_does_not_answer(tmp_path: Path, url: str) -> None:
    """A wrong address is no crash."""
    assert found(tmp_path, REDIS_URL=url).redis.endswith("(does not answer)")
