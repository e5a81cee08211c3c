"""What every system is asked, and how long."""

from dataclasses import dataclass

from benchmarks.comparison.systems import RequestKind


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of load.

    Attributes:
        callers: each sends again when it is answered.
        rate: requests a second by the clock, instead of callers.
        requests: as many are sent; 0 is as many as fit into the time.
        uploads: callers that send files beside it, all the time.
        is_heavy: whether only some systems are asked, in a server of its own.
        is_settled: whether the memory that it leaves is read some seconds after it.
    """

    name: str
    kind: RequestKind
    callers: int = 1
    rate: float = 0.0
    requests: int = 0
    uploads: int = 0
    is_heavy: bool = False
    is_settled: bool = False


SINGLES_32 = Workload("1 row, 32 callers", RequestKind.SINGLE, 32)
SINGLES_1 = Workload("1 row, 1 caller", RequestKind.SINGLE, 1)
ROWS_8 = Workload("1,000 rows, 8 callers", RequestKind.ROWS, 8)
FILE = Workload("10 MB CSV", RequestKind.FILE, requests=2)
FILE_CSV = Workload("10 MB CSV, answered as CSV", RequestKind.FILE_CSV, requests=2)
FILES_8 = Workload("8 files of 10 MB at once", RequestKind.FILE, 8, requests=8, is_heavy=True, is_settled=True)
BESIDE = tuple(
    Workload(f"30 rows a second beside {uploads} uploads", RequestKind.SINGLE, 0, 30.0, uploads=uploads, is_heavy=True)
    for uploads in (0, 1, 4, 12)
)
LIGHT = (SINGLES_1, SINGLES_32, ROWS_8, FILE, FILE_CSV)
ALL = (*LIGHT, FILES_8, *BESIDE)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each.

    Attributes:
        seconds: of a load of transactions.
        beside_seconds: of one beside uploads.
        file_bytes: of a large file.
        upload_bytes: of a file beside transactions.
        settle_seconds: after a load, before the memory is read that is still held.
        rounds: how often everything is measured; heavy loads in the first rounds alone.
        heavy_rounds: of this service with history; of the others there is one.
    """

    seconds: float = 3.0
    beside_seconds: float = 6.0
    file_bytes: int = 9_999_000
    upload_bytes: int = 7_200_000
    settle_seconds: float = 5.0
    rounds: int = 3
    heavy_rounds: int = 2


QUICK = Sizes(0.5, 1.5, 500_000, 300_000, 0.2, 1, 1)
"""To see that everything runs; its figures mean nothing."""
