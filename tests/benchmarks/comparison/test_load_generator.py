"""The load generator: what it sends, what it notes, and that its own client reads any answer of HTTP/1.1."""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.comparison.answers import AnswerForm
from benchmarks.comparison.generator_process import LoadFailedError, LoadGenerator
from benchmarks.comparison.load_generator import MARK, LoadSpec, LoadTotals, Sender
from benchmarks.comparison.raw_http import NO_ANSWER, Connection

GOOD = b'{"predictions":[{"fraud_probability":0.5,"decision":"approve"}]}'
BODY = b'{"id":"' + MARK + b'7"}'


def answer(body: bytes, status: int = 200) -> bytes:
    """With its length."""
    return b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body


def chunked(pieces: Sequence[bytes]) -> bytes:
    """In chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


class Answers:
    """A server that gives these answers in turn, cut at these places, and notes the bodies that came."""

    def __init__(self, *answers: bytes, cuts: Sequence[int] = (), closes: bool = False) -> None:
        self._answers, self._cuts, self._closes = answers, sorted(cuts), closes
        self.came: list[bytes] = []

    async def start(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.came.append(await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])))
                await self._write(writer, self._answers[(len(self.came) - 1) % len(self._answers)])
                if self._closes:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def _write(self, writer: asyncio.StreamWriter, whole: bytes) -> None:
        ends = [*(cut for cut in self._cuts if cut < len(whole)), len(whole)]
        for begin, end in zip([0, *ends], ends, strict=False):
            writer.write(whole[begin:end])
            await writer.drain()
            await asyncio.sleep(0)


def exchanged(server: Answers, times: int = 1) -> list[tuple[int, bytes]]:
    """What the raw client got."""

    async def run() -> list[tuple[int, bytes]]:
        async with await server.start() as running:
            connection = Connection("127.0.0.1", running.sockets[0].getsockname()[1], 20.0)
            got = [
                await connection.request(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n", b"{}") for _ in range(times)
            ]
            connection.close()
            return got

    return asyncio.run(run())


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(1, 300), max_size=8))
def test_an_answer_is_read_however_it_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    """By its length or in chunks, twice over one connection, whatever the packets."""
    whole = b"".join(pieces)
    for each in (answer(whole), chunked(pieces)):
        assert exchanged(Answers(each, cuts=cuts), times=2) == [(200, whole)] * 2


def test_a_connection_that_ends_too_early_is_no_answer() -> None:
    """Half of an answer is none, and the next request opens another connection."""
    assert exchanged(Answers(answer(b"whole")[:-2], closes=True)) == [(NO_ANSWER, b"")]
    assert exchanged(Answers(answer(b"whole"), closes=True), times=2) in (
        [(200, b"whole")] * 2,
        [(200, b"whole"), (NO_ANSWER, b"")],
    )


def test_a_server_that_says_nothing_is_given_up() -> None:
    """After the timeout of the connection, and the next request is sent all the same."""

    async def run(port: int) -> list[tuple[int, bytes]]:
        connection = Connection("127.0.0.1", port, 0.05)
        return [await connection.request(b"POST / HTTP/1.1\r\n\r\n", b"") for _ in range(2)]

    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert asyncio.run(run(silent.getsockname()[1])) == [(NO_ANSWER, b"")] * 2


def spec(directory: Path, port: int) -> LoadSpec:
    """Four requests, one after the other."""
    (directory / "bodies").write_bytes(BODY)
    return LoadSpec(port, "/", {}, str(directory / "bodies"), [len(BODY)], 1, AnswerForm.JSON, "abcd", requests=4)


def measured(server: Answers, directory: Path, **changes: float) -> Sender:
    """A load against it, in this process."""

    async def run() -> Sender:
        async with await server.start() as running:
            load = spec(directory, running.sockets[0].getsockname()[1])
            sender = Sender(replace(load, **changes))  # type: ignore[arg-type] # of its fields
            await sender.warm_up()
            await sender.measure()
            return sender

    return asyncio.run(run())


def test_no_transaction_comes_twice(tmp_path: Path) -> None:
    """Each body has a mark of its own, as long as the one of the template, in the warm-up too."""
    server = Answers(answer(GOOD))
    measured(server, tmp_path, warm_requests=3)
    assert len(set(server.came)) == len(server.came) == 7
    assert {len(body) for body in server.came} == {len(BODY)}
    assert all(body.startswith(b'{"id":"abcd') for body in server.came)


def test_every_answer_is_judged(tmp_path: Path) -> None:
    """A refusal, a wrong number of predictions and a degraded answer are told apart."""
    degraded = GOOD[:-1] + b',"degraded":["history"]}'
    server = Answers(answer(GOOD), answer(b"{}", 503), answer(b'{"predictions":[]}'), answer(degraded))
    totals = measured(server, tmp_path).totals
    assert totals.statuses == {"200": 3, "503": 1}
    assert (totals.good, totals.wrong, totals.degraded) == (2, 1, 1)


def test_a_rate_is_kept_whatever_the_answers_do(tmp_path: Path) -> None:
    """By the clock a hundred a second leave in a third of a second, callers or not."""
    server = Answers(answer(GOOD))
    totals = measured(server, tmp_path, callers=0, rate=100.0, seconds=0.3).totals
    assert 25 <= totals.statuses["200"] <= 35


def test_the_process_measures_when_it_is_told(tmp_path: Path) -> None:
    """Nothing is sent between warming up and the word; then it says what came and what it took."""
    server = Answers(answer(GOOD))

    async def run() -> tuple[int, int]:
        async with await server.start() as running:
            load = replace(spec(tmp_path, running.sockets[0].getsockname()[1]), warm_requests=2)
            generator = await asyncio.to_thread(LoadGenerator(load).__enter__)
            warm = len(server.came)
            totals = await asyncio.to_thread(generator.measure)
            generator.__exit__()
            assert totals.cpu_seconds > 0
            return warm, totals.good

    assert asyncio.run(run()) == (2, 4)


def test_uploads_are_sent_as_long_as_the_load_beside_them(tmp_path: Path) -> None:
    """Another process sends them, until this load has ended, and their answers are reported apart."""
    server = Answers(answer(GOOD))

    async def run() -> LoadTotals:
        async with await server.start() as running:
            load = spec(tmp_path, running.sockets[0].getsockname()[1])
            beside = replace(load, requests=0, prefix="wxyz")
            with LoadGenerator(replace(load, rate=100.0, callers=0, seconds=0.3, uploads=beside)) as generator:
                return await asyncio.to_thread(generator.measure)

    totals = asyncio.run(run())
    assert totals.good == totals.statuses["200"]
    assert totals.uploads
    assert totals.uploads.statuses["200"] == sum(body.startswith(b'{"id":"wxyz') for body in server.came) > 0
    assert totals.uploads.seconds > 0.25


def test_a_load_generator_that_fails_says_why(tmp_path: Path) -> None:
    """A spec without templates."""
    load = replace(spec(tmp_path, 1), templates=str(tmp_path / "missing"))
    with pytest.raises(LoadFailedError, match="FileNotFoundError"), LoadGenerator(load):
        pass
