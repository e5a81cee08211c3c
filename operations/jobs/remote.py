"""`fraud remote JOB`: has the keeper run a job, for platforms whose cron jobs cannot reach the disk.

    POST {KEEPER_URL}/jobs/backup        X-Jobs-Key: {JOBS_KEY}, no body

    200  text/plain, chunked or until the connection closes: what the job says, line by line as it is said. An empty
         line is a heartbeat, about every 20 s, and is left out here. The last line is `exit N`, N the job's exit
         code. Each line ends with a newline, the last one too.
    401  the key is wrong or missing
    404  the schedule has no such job
    409  the job runs already

A job may say `exit 3` itself: only the last line counts. Without one the connection was lost, and what became of the
job is not known here; it may go on.

The image of Render's cron jobs is Python, this file and operations/errors.py (deploy/render/Dockerfile): they run
`python -m operations.jobs.remote JOB`. So only the standard library is imported here, and alerts when one is posted.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from urllib.parse import SplitResult, urlsplit

from operations.errors import OperationsError

KEEPER_URL, JOBS_KEY = "KEEPER_URL", "JOBS_KEY"
MODELS_HOST, DEFAULT_HOST, PORT = "MODELS_HOST", "keeper", 8070
"""Without KEEPER_URL: Render can hand over the keeper's host, and no address made of it."""
HEADER = "X-Jobs-Key"
CONNECT_PATIENCE, PATIENCE = 10.0, 300.0
"""Seconds: to connect, and between two lines, where a heartbeat comes about every 20 s."""
PIECE = 65_536
LONGEST_LINE = 1 << 20
"""Bytes; a job says less, and a false keeper may not fill the memory."""
PATH = re.compile(r"[!-~]*")
JOB = re.compile(r"[a-z]+(?:-[a-z]+)*")
LAST = re.compile(r"exit ([0-9]{1,3})")
LARGEST_CODE = 255
UNREACHABLE = "the keeper cannot be reached, see KEEPER_URL or MODELS_HOST"
BUSY = os.EX_TEMPFAIL
"""Exit code where the job runs already: 75."""
REFUSALS = {
    401: "the keeper refuses the key: JOBS_KEY must be the one that it was started with",
    403: "the keeper refuses the key: JOBS_KEY must be the one that it was started with",
    404: "the keeper's schedule has no such job, or it runs none for others: it needs a JOBS_KEY too",
}


class RemoteFailed(OperationsError):
    """The keeper did not run the job, or it is not known what became of it."""


def call(job: str, outside: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Has the keeper run a job and passes on what it says; posts an alert where the keeper cannot.

    Args:
        job: its name.
        outside: the environment, with JOBS_KEY itself rather than its file.
        say: takes each line.

    Returns:
        The job's exit code; 75 where it runs already.

    Raises:
        RemoteFailed: no key is set, the keeper cannot be reached or refuses, or the connection was lost.
    """
    try:
        return asked(job, outside, say)
    except RemoteFailed as error:
        from operations.jobs import outcome

        outcome.alert(f"fraud remote {job} failed: {error}", outside)
        raise


def asked(job: str, outside: Mapping[str, str], say: Callable[[str], None]) -> int:
    """As :func:`call`, but alerts nobody."""
    key = outside.get(JOBS_KEY)
    if not key:
        raise RemoteFailed("JOBS_KEY is not set: set it to the key that the keeper has")
    if not (key.isascii() and key.isprintable()):
        raise RemoteFailed("JOBS_KEY holds what no header can carry: use letters, digits and signs of ASCII")
    if not JOB.fullmatch(job):
        raise RemoteFailed("a job's name is a word like backup")
    with _answer(job, _keeper(outside), key) as answer:
        if answer.status == HTTPStatus.CONFLICT:
            say(f"error: fraud {job} runs already")
            return BUSY
        if answer.status != HTTPStatus.OK:
            refusal = REFUSALS.get(answer.status, f"the keeper answers with status {answer.status}")
            raise RemoteFailed(f"fraud {job} was not started: {refusal}")
        return _passed_on(job, _lines(job, answer), say)


def main(arguments: list[str], outside: Mapping[str, str]) -> int:
    """The whole program of Render's cron jobs: asks for the job of that name; the exit code."""
    try:
        match arguments:
            case [job]:
                return asked(job, outside, lambda line: print(line, flush=True))
        raise RemoteFailed("one word is needed: a job's name, like backup")  # noqa: TRY301 - said as all else is
    except RemoteFailed as error:
        print(f"error: {error}", file=sys.stderr)
    return 1


def _keeper(outside: Mapping[str, str]) -> SplitResult:
    """Where the keeper is; its port, if it names one, is a number."""
    default = f"http://{outside.get(MODELS_HOST) or DEFAULT_HOST}:{PORT}"
    try:
        url = urlsplit(outside.get(KEEPER_URL) or default)
        is_one = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0 and PATH.fullmatch(url.path)
    except ValueError:
        is_one = None
    if not is_one:
        raise RemoteFailed("KEEPER_URL is no http:// or https:// address")
    return url


@contextmanager
def _answer(job: str, keeper: SplitResult, key: str) -> Iterator[HTTPResponse]:
    """The keeper's answer; no redirection is followed, and no proxy used, for the key would go there."""
    kind = HTTPSConnection if keeper.scheme == "https" else HTTPConnection
    with closing(_connected(job, kind, keeper)) as connection:
        with _failures(job):
            connection.request("POST", f"{keeper.path.rstrip('/')}/jobs/{job}", body=b"", headers={HEADER: key})
            answer = connection.getresponse()
        with answer:
            yield answer


def _connected(job: str, kind: type[HTTPConnection], keeper: SplitResult) -> HTTPConnection:
    try:
        connection = kind(keeper.hostname or "", keeper.port, timeout=CONNECT_PATIENCE)
        connection.connect()
        connection.sock.settimeout(PATIENCE)
    except (OSError, HTTPException, ValueError):  # The host may be no name: their texts would repeat it.
        raise RemoteFailed(f"fraud {job} was not started: {UNREACHABLE}") from None
    return connection


def _passed_on(job: str, lines: Iterable[str], say: Callable[[str], None]) -> int:
    """Says all lines but heartbeats and the last one, whose number it gives."""
    last = None
    for line in lines:
        if not line:
            continue
        if last:
            say(last[0])
        last = LAST.fullmatch(line)
        if not last:
            say(line)
    if not last:
        raise RemoteFailed(_lost(job))
    return min(int(last[1]), LARGEST_CODE)


def _lines(job: str, answer: HTTPResponse) -> Iterator[str]:
    """The lines as they come; what comes after the last line's end was cut off and is left out."""
    rest = b""
    with _failures(job):
        for piece in _pieces(answer):
            *lines, rest = (rest + piece).split(b"\n")
            if len(rest) > LONGEST_LINE:
                raise RemoteFailed(_lost(job))
            yield from (line.decode(errors="replace").removesuffix("\r") for line in lines)


def _pieces(answer: HTTPResponse) -> Iterator[bytes]:
    """The body as it comes. Read by lines, a client does not tell of a last chunk that is missing."""
    left = answer.length
    while left != 0 and (piece := answer.read1(PIECE)):
        left = None if left is None else left - len(piece)
        yield piece
    if left:
        raise IncompleteRead(b"", left)


@contextmanager
def _failures(job: str) -> Iterator[None]:
    """Turns what the client raises into one line; its own texts may hold the address or the key."""
    try:
        yield
    except TimeoutError:
        raise RemoteFailed(f"{_lost(job)} (it said nothing for {PATIENCE / 60:.0f} min)") from None
    except (OSError, HTTPException):
        raise RemoteFailed(_lost(job)) from None


def _lost(job: str) -> str:
    return f"the connection to the keeper was lost; what became of fraud {job} is in the keeper's log and metrics"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
