"""Workers killed under a steady load: does any caller notice?

`python -m benchmarks.worker_kills [KILLS]`, in the directory where `fraud up` runs: ends one worker of the live version
with SIGKILL, waits until all its workers are ready again, and so on, twenty times, while 50 requests a second arrive by
the clock. The live version must take the columns of examples/transactions.csv. The key is API_KEY, or test-key.
"""

import os
import signal
import sys
import time

import httpx

from benchmarks import stack
from benchmarks.load import Load, summary
from operations.errors import OperationsError

RATE = 50
KILLS = 20
FILE_ROWS = 3


def ready_workers(management_url: str, version: int) -> list[int]:
    """The process numbers of the workers of a version that TorchServe calls ready."""
    fields = httpx.get(f"{management_url}/models/fraud/{version}", trust_env=False, timeout=10).json()
    return [worker["pid"] for worker in fields[0]["workers"] if worker["status"] == "READY"]


def kill_worker(management_url: str, version: int, seconds: float = 60.0) -> None:
    """Kills a worker of a version, and waits until as many as before are ready and it is not among them.

    Raises:
        OperationsError: they were not within `seconds`.
    """
    before, until = ready_workers(management_url, version), time.monotonic() + seconds
    os.kill(before[0], signal.SIGKILL)
    while len(now := ready_workers(management_url, version)) < len(before) or before[0] in now:
        if time.monotonic() > until:
            raise OperationsError(f"version {version} has {len(now)} ready workers after {seconds:.0f} s")
        time.sleep(0.1)


def main() -> None:
    """Measures and prints."""
    running, url, live = stack.running_stack()
    kills = int(sys.argv[1]) if sys.argv[1:] else KILLS
    with Load(url, stack.example(FILE_ROWS), RATE, os.environ.get("API_KEY", "test-key")) as load:
        for _ in range(kills):
            kill_worker(running.server.address, live.version)
    degraded = sum("degraded" in answer.body for answer in load.answers)
    print(f"{kills} kills: {summary(load.answers)}, {degraded} degraded")


if __name__ == "__main__":
    try:
        main()
    except OperationsError as error:
        sys.exit(f"error: {error}")
