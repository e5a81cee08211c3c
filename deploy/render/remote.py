#!/usr/bin/env python3
"""`fraud remote JOB` for the cron jobs on Render, in an image that holds Python and this file.

It says and ends as `fraud remote` of the operations image does (operations/jobs/remote.py has the protocol, and
tests/deploy/test_remote.py runs both), since Render pulls the image anew for each hourly run.
"""

import http.client
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping

BUSY, FAILED = 75, 1
"""Exit codes: the job runs already; it was not started, or it is not known what became of it."""
PATIENCE = 300.0
"""Seconds between two lines; the keeper sends an empty one about every 20 s."""
LAST = re.compile(r"exit ([0-9]{1,3})\n")
JOB = re.compile(r"[a-z]+(?:-[a-z]+)*")
REFUSALS = {401: "the keeper refuses the key", 404: "the keeper's schedule has no such job"}


def main(arguments: list[str], outside: Mapping[str, str]) -> int:
    """Has the keeper run a job and prints what it says; the job's exit code."""
    match arguments:
        case ["remote", job] if JOB.fullmatch(job):
            try:
                return call(job, outside)
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                # Its own text may hold the address or the key.
                print(f"error: fraud remote {job} failed ({type(error).__name__})", file=sys.stderr)
                return FAILED
    print("error: this image has `fraud remote JOB` alone", file=sys.stderr)
    return FAILED


def call(job: str, outside: Mapping[str, str]) -> int:
    """Asks for the job, and waits for its end."""
    keeper = outside.get("KEEPER_URL") or f"http://{outside['MODELS_HOST']}:8070"
    request = urllib.request.Request(  # noqa: S310 - the address is the operator's
        f"{keeper.rstrip('/')}/jobs/{job}", data=b"", headers={"X-Jobs-Key": outside["JOBS_KEY"]}
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - as above
            return passed_on(job, (line.decode(errors="replace") for line in answer))
    except urllib.error.HTTPError as refused:
        if refused.code == http.client.CONFLICT:
            print(f"error: fraud {job} runs already", file=sys.stderr)
            return BUSY
        reason = REFUSALS.get(refused.code, f"the keeper answers with status {refused.code}")
        print(f"error: fraud {job} was not started: {reason}", file=sys.stderr)
        return FAILED


def passed_on(job: str, lines: Iterable[str]) -> int:
    """Prints all lines but heartbeats and the last one, whose number it gives; one that was cut off is none."""
    last: re.Match[str] | None = None
    for line in lines:
        if line.strip("\r\n") == "" or not line.endswith("\n"):
            continue
        if last:
            print(last.string, end="")
        last = LAST.fullmatch(line)
        if not last:
            print(line, end="", flush=True)
    if last:
        return int(last[1])
    print(f"error: the connection was lost; what became of fraud {job} is in the keeper's log", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
