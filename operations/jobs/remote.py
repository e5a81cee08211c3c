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
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import httpx

from operations.errors import OperationsError
from operations.jobs import crontab, outcome

KEEPER_URL, JOBS_KEY = "KEEPER_URL", "JOBS_KEY"
DEFAULT = "http://keeper:8070"
HEADER = "X-Jobs-Key"
PATIENCE = httpx.Timeout(10.0, read=900.0)
"""Seconds: to connect, and between two lines."""
LAST = re.compile(r"exit ([0-9]{1,3})")
LARGEST_CODE = 255
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
        return _called(job, outside, say)
    except RemoteFailed as error:
        outcome.alert(f"fraud remote {job} failed: {error}", outside)
        raise


def _called(job: str, outside: Mapping[str, str], say: Callable[[str], None]) -> int:
    key = outside.get(JOBS_KEY)
    if not key:
        raise RemoteFailed("JOBS_KEY is not set: set it, or JOBS_KEY_FILE, to the key that the keeper has")
    if not crontab.NAME.fullmatch(job):
        raise RemoteFailed("a job's name is a word like backup")
    url = f"{(outside.get(KEEPER_URL) or DEFAULT).rstrip('/')}/jobs/{job}"
    with (
        _failures(job),
        httpx.Client(timeout=PATIENCE, trust_env=False) as client,
        client.stream("POST", url, headers={HEADER: key}) as answer,
    ):
        if answer.status_code == httpx.codes.CONFLICT:
            say(f"error: fraud {job} runs already")
            return outcome.BUSY
        if answer.status_code != httpx.codes.OK:
            refusal = REFUSALS.get(answer.status_code, f"the keeper answers with status {answer.status_code}")
            raise RemoteFailed(f"fraud {job} was not started: {refusal}")
        return _passed_on(job, _lines(answer.iter_text()), say)


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


def _lines(chunks: Iterable[str]) -> Iterator[str]:
    """The lines of a text that comes in pieces; what comes after the last line's end was cut off and is left out."""
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split("\n")
        yield from (line.removesuffix("\r") for line in lines)


@contextmanager
def _failures(job: str) -> Iterator[None]:
    """Turns what the client raises into one line; its own texts may hold the address or the key."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout):
        raise RemoteFailed(f"fraud {job} was not started: the keeper cannot be reached, see KEEPER_URL") from None
    except httpx.ReadTimeout:
        minutes = (PATIENCE.read or 0) / 60
        raise RemoteFailed(f"{_lost(job)} (it said nothing for {minutes:.0f} min)") from None
    except (httpx.NetworkError, httpx.RemoteProtocolError):
        raise RemoteFailed(_lost(job)) from None
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise RemoteFailed("KEEPER_URL is no http:// or https:// address") from None
    except (httpx.HTTPError, ValueError) as error:  # A key that no header can carry, a host that is no name.
        kind = type(error).__name__
        raise RemoteFailed(f"fraud {job} was not started ({kind}): check KEEPER_URL and JOBS_KEY") from None


def _lost(job: str) -> str:
    return f"the connection to the keeper was lost; what became of fraud {job} is in the keeper's log and metrics"
