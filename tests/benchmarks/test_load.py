"""The load: it keeps its rate whatever the answers do, and notes every one of them."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.load import NO_ANSWER, OK, UNBOUNDED, Load, achieved, failed, summary
from tests.timeouts import WAIT_SECONDS

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n" + b'{"model_version":7}'
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
BODY = b"id\n1\n"


class Server:
    """Answers every request with the same bytes, after so many seconds, and counts them as they come."""

    def __init__(self, answer: bytes, seconds: float) -> None:
        self.answer = answer
        self.seconds = seconds
        self.came: list[float] = []
        self.url = ""
        self._ready = threading.Event()

    @contextmanager
    def running(self) -> Iterator["Server"]:
        """Runs in a thread of its own."""
        thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        thread.start()
        assert self._ready.wait(WAIT_SECONDS)
        yield self
        self._loop.call_soon_threadsafe(self._ending.set)
        thread.join()

    async def _serve(self) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self._answer, "127.0.0.1", 0) as server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self._ready.set()
            await self._ending.wait()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not reader.at_eof():
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(BODY))
                self.came.append(time.time())
                await asyncio.sleep(self.seconds)
                writer.write(self.answer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def load_for(url: str, requests: int, in_flight: int = UNBOUNDED) -> Load:
    """A load of 100 a second that ended after so many answers."""
    with Load(url, BODY, 100, in_flight=in_flight) as load:
        until = time.monotonic() + WAIT_SECONDS
        while len(load.answers) < requests and time.monotonic() < until:
            time.sleep(0.01)
    return load


def test_slow_answers_do_not_slow_the_load() -> None:
    """While each answer takes half a second, requests leave at their rate, and their waiting is counted."""
    with Server(ANSWER, 0.5).running() as server:
        load = load_for(server.url, 30)
    assert achieved(load.answers) > 20
    assert max(server.came) - min(server.came) < 15 / 2, "one after the other takes 15 s"
    assert all(answer.milliseconds >= 500 for answer in load.answers)
    assert {(answer.status, answer.version) for answer in load.answers} == {(OK, 7)}
    assert len({answer.identity for answer in load.answers}) == len(load.answers) == len(server.came)


def test_no_more_than_the_bound_are_in_flight() -> None:
    """A load with a bound waits for an answer before it sends more, and counts no waiting that it made itself."""
    with Server(ANSWER, 0.1).running() as server:
        load = load_for(server.url, 20, in_flight=2)
    for answer in load.answers:
        overlapping = [each for each in load.answers if each.started < answer.ended and answer.started < each.ended]
        at_its_start = [each for each in overlapping if each.started <= answer.started]
        assert len(at_its_start) <= 2
    assert max(answer.due - answer.started for answer in load.answers) <= 0


def test_failures_are_noted() -> None:
    """A refusal and a server that is not there are failures, not ends of the load."""
    with Server(BUSY, 0.0).running() as server:
        refused = load_for(server.url, 5)
    gone = load_for(server.url, 5)
    assert {answer.status for answer in failed(refused.answers)} == {503}
    assert {answer.status for answer in failed(gone.answers)} == {NO_ANSWER}
    assert f"{len(gone.answers)} failed" in summary(gone.answers)
