"""Every fault of HTTP, keys, JSON, forms and CSV that was thought of, through sockets and through the entry."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.gateway.corpus import csv_files, forms, http, json_bodies, keys
from tests.gateway.corpus.case import JSON, MARK, Case, one, posted
from tests.gateway.http.test_lingering import uploaded
from tests.gateway.process import Gateway
from tests.gateway.serving_http import free_port
from tests.timeouts import WAIT_SECONDS
from tests.tiny import TinyServer, write_version

KINDS = {"http": http, "keys": keys, "json": json_bodies, "forms": forms, "csv": csv_files}
CORPUS: dict[str, list[Case]] = {kind: module.cases() for kind, module in KINDS.items()}
SECONDS = 15
"""The longest that any case may take."""
CUT_SECONDS = 0.5
ENTRY = Path(__file__).parents[2] / "deploy/entry/haproxy.cfg"
RESOLVED = " resolvers docker init-addr none resolve-prefer ipv4"
GOOD = Case("good", posted("/v1/score", JSON, b"application/json"), one(200))
PROBLEMS = (b"application/problem+json", b"<h1>400 Bad request</h1>", b"<h1>422 ")
"""The others are HAProxy's own pages for what is no HTTP; its configuration cannot replace them."""
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
MARKS = (MARK.encode(), MARK.replace("-", "").encode(), quote(MARK).encode())

pytestmark = pytest.mark.xdist_group("doors")


@dataclass(frozen=True)
class Doors:
    """A gateway, what it logs, and the ports at which it is reached; the entry's is None without HAProxy."""

    gateway: Gateway
    logs: tuple[Path, ...]
    direct: int
    entry: int | None


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """A gateway as production runs it, and the entry before it where HAProxy is installed."""
    directory = tmp_path_factory.mktemp("doors")
    model_server = TinyServer()
    model_server.serve(write_version(directory / "v1"))
    with ExitStack() as stack:
        gateway = Gateway(directory, model_server)
        stack.callback(gateway.close)
        gateway.until_it_is("ready")
        direct = httpx.URL(gateway.url).port or 0
        entry = stack.enter_context(entry_before(direct, directory)) if shutil.which("haproxy") else None
        yield Doors(gateway, tuple(directory.glob("*.log")), direct, entry)


@pytest.fixture(scope="module", params=["direct", "entry"])
def port(request: pytest.FixtureRequest, doors: Doors) -> int:
    """The gateway's own port, and the entry's."""
    if request.param == "direct":
        return doors.direct
    if doors.entry is None:
        pytest.skip("HAProxy is not installed")
    return doors.entry


@contextmanager
def entry_before(gateway: int, directory: Path) -> Iterator[int]:
    """The port of an HAProxy with the entry's own configuration, before this gateway."""
    port = free_port()
    text = ENTRY.read_text().replace("bind :8000", f"bind 127.0.0.1:{port}").replace(RESOLVED, "")
    text = re.sub("server-template gateway .*", f"server gateway 127.0.0.1:{gateway}", text)
    text = text.replace("wait-for-body time 10s", "wait-for-body time 3s")  # One case waits it out.
    (directory / "haproxy.cfg").write_text(text)
    with (directory / "entry.log").open("wb") as log:
        process = subprocess.Popen(["haproxy", "-db", "-f", directory / "haproxy.cfg"], stdout=log, stderr=log)
    try:
        wait_until_served(port)
        yield port
    finally:
        process.kill()
        process.wait()


def wait_until_served(port: int) -> None:
    """Waits until a good request is answered there."""
    end = time.monotonic() + WAIT_SECONDS
    while statuses(exchanged(port, GOOD)) != [200]:
        assert time.monotonic() < end
        time.sleep(0.05)


def exchanged(port: int, case: Case) -> bytes:
    """All that is answered to a case; resets are as they come, and silence is a failure."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as caller:
            with suppress(ConnectionError):  # The answer may have come, and is what counts.
                caller.sendall(case.data)
            return received(caller, cut=case.cut)
    except ConnectionError:
        return b""


def received(caller: socket.socket, *, cut: bool) -> bytes:
    """Everything up to the end; a caller who cuts says that he is done when nothing comes for a while."""
    answer = bytearray()
    caller.settimeout(CUT_SECONDS if cut else SECONDS)
    while True:
        try:
            part = caller.recv(65_536)
        except TimeoutError:
            if not cut:
                raise
            cut = False
            caller.settimeout(SECONDS)
            caller.shutdown(socket.SHUT_WR)
            continue
        answer += part
        if not part:
            return bytes(answer)


def statuses(answer: bytes) -> list[int]:
    """Of all answers but the interim ones."""
    return [status for status in map(int, STATUS.findall(answer)) if status >= httpx.codes.OK]


def complaints(port: int, case: Case, *, through_entry: bool) -> list[str]:
    """What is wrong with what was answered to a case."""
    began = time.monotonic()
    try:
        answer = exchanged(port, case)
    except TimeoutError:
        return [f"{case.name}: silence"]
    got, allowed = statuses(answer), case.allowed(through_entry=through_entry)
    found = []
    if len(got) != len(allowed) or not all(status in right for status, right in zip(got, allowed, strict=True)):
        found.append(f"{got} and not {allowed}, {case.rule}: {answer[:300]!r}")
    if any(status >= httpx.codes.INTERNAL_SERVER_ERROR for status in got):
        found.append(f"{got}")
    if got and got[-1] >= httpx.codes.BAD_REQUEST and not any(kind in answer for kind in PROBLEMS):
        found.append("no problem+json")
    if any(mark in answer for mark in MARKS):
        found.append(f"repeats what was sent: {answer[:500]!r}")
    if time.monotonic() - began > SECONDS:
        found.append("slow")
    return [f"{case.name}: {each}" for each in found]


def test_the_corpus_is_one() -> None:
    """There are 300 cases at least, and no two have one name."""
    names = [case.name for cases in CORPUS.values() for case in cases]
    assert len(names) >= 300
    assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", CORPUS)
def test_every_case_is_answered_as_it_should_be(doors: Doors, port: int, kind: str) -> None:
    """The right status, as a problem, at once, with nothing repeated; and a good request is served afterwards."""
    through_entry = port == doors.entry
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda case: complaints(port, case, through_entry=through_entry), CORPUS[kind])
        output = [complaint for each in found for complaint in each]
    assert not output, "\n".join(output)
    assert statuses(exchanged(port, GOOD)) == [200]


@pytest.mark.parametrize(
    ("key", "size", "at_once", "status"), [("k-1", 11_000_000, 2, 413), ("wrong", 1_000_000, 40, 401)]
)
def test_python_s_own_client_reads_an_early_answer(port: int, key: str, size: int, at_once: int, status: int) -> None:
    """It sends its whole body before it reads: what was answered meanwhile is there, and no reset."""
    with ThreadPoolExecutor(at_once) as pool:
        answers = pool.map(lambda _: uploaded(f"http://127.0.0.1:{port}/upload", size, key), range(2 * at_once))
        assert set(answers) == {status}


def test_nothing_that_was_sent_is_kept(doors: Doors, port: int) -> None:
    """After the cases whose values might be, neither a log nor a metric has any of them."""
    marked = [case for cases in CORPUS.values() for case in cases if any(mark in case.data for mark in MARKS)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda case: exchanged(port, case), marked))
    kept = {str(file): file.read_bytes() for file in doors.logs}
    kept["/metrics"] = httpx.get(f"{doors.gateway.url}/metrics", trust_env=False).content
    assert len(marked) > 100
    assert [name for name, text in kept.items() if any(mark in text for mark in MARKS)] == []
    assert b'"status": 422' in b"".join(kept.values())
