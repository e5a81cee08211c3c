"""Who is compared, and how each is asked for one transaction, a thousand, and a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from benchmarks.comparison import servers
from benchmarks.comparison.answers import AnswerForm
from benchmarks.comparison.bodies import Encoding
from benchmarks.comparison.servers import KEY, Start


class RequestKind(StrEnum):
    """What is sent in one request."""

    SINGLE = "1 transaction"
    ROWS = "1,000 rows"
    FILE = "file"
    FILE_CSV = "file, answered as CSV"


@dataclass(frozen=True, slots=True)
class Call:
    """How a system is asked for a kind."""

    path: str
    encoding: Encoding
    headers: Mapping[str, str] = field(default_factory=dict)
    answer: AnswerForm = AnswerForm.JSON


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """What is started once for one or more systems.

    Attributes:
        peer: its environment; empty is this project's own.
    """

    name: str
    start: Start
    peer: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """A line of the tables.

    Attributes:
        calls: what it can be asked.
        setup: how it is set up, for the page of results.
        is_heavy: whether it is asked the long workloads too: eight files at once, and transactions beside files.
        has_history: whether it scores by what came before.
    """

    name: str
    server: Server
    calls: Mapping[RequestKind, Call]
    setup: str
    is_heavy: bool = False
    has_history: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it is this service."""
        return self.name.startswith("ours")


def _ours() -> Mapping[RequestKind, Call]:
    own = {"X-API-Key": KEY}
    upload = Call("/upload", Encoding.CSV, own)
    return {
        RequestKind.SINGLE: Call("/v1/score", Encoding.OBJECT, own),
        RequestKind.ROWS: upload,
        RequestKind.FILE: upload,
        RequestKind.FILE_CSV: Call("/upload", Encoding.CSV, own | {"Accept": "text/csv"}, AnswerForm.CSV),
    }


def _same(path: str, encoding: Encoding, answer: AnswerForm = AnswerForm.JSON) -> Mapping[RequestKind, Call]:
    call = Call(path, encoding, answer=answer)
    return {RequestKind.SINGLE: call, RequestKind.ROWS: call}


def _files(single: str, upload: str) -> Mapping[RequestKind, Call]:
    return {
        RequestKind.SINGLE: Call(single, Encoding.OBJECT),
        RequestKind.ROWS: Call(upload, Encoding.CSV),
        RequestKind.FILE: Call(upload, Encoding.CSV),
    }


HISTORY = Server("ours", servers.ours(lambda context: context.history))
PLAIN = Server("ours, no history", servers.ours(lambda context: context.plain))
FASTAPI = Server("FastAPI", servers.fastapi, "fastapi")
GUIDE = Server("guide", servers.guide, "fastapi")
LITSERVE = Server("LitServe", servers.litserve, "litserve")
BENTOML = Server("BentoML", servers.bentoml, "bentoml")
RAY = Server("Ray Serve", servers.ray, "ray")
MLSERVER = Server("MLServer", servers.mlserver, "mlserver")
TORCHSERVE = Server("TorchServe", servers.torchserve_as_it_comes)
TUNED = Server("TorchServe tuned", servers.torchserve_tuned)
FRAMES = Server("TorchServe frames", servers.torchserve_frames)

SYSTEMS = (
    System("ours", HISTORY, _ours(), "`fraud up`, all defaults, the default model", is_heavy=True, has_history=True),
    System("ours, no history", PLAIN, _ours(), "the same, the version without `[[history]]`", is_heavy=True),
    System(
        "FastAPI + torch",
        FASTAPI,
        _files("/score", "/upload"),
        "one process: pydantic, pandas for files, the module, orjson; uvloop, httptools",
        is_heavy=True,
    ),
    System(
        "FastAPI + torch, binary",
        FASTAPI,
        _same("/matrix", Encoding.MATRIX, AnswerForm.FLOATS),
        "the same; the caller makes features",
    ),
    System(
        "guide's design",
        GUIDE,
        _files("/score", "/upload"),
        "FastAPI, pandas, httpx, JSON to TorchServe as it comes, in batches of 4,096 rows",
    ),
    System(
        "guide's design, orjson",
        GUIDE,
        _files("/score-orjson", "/upload-orjson"),
        "the same, answered by orjson",
        is_heavy=True,
    ),
    System(
        "LitServe", LITSERVE, _same("/predict", Encoding.ROWS), "batches of 32 requests, 2 ms; 1 worker, its fast queue"
    ),
    System("BentoML", BENTOML, _same("/score", Encoding.ROWS), "adaptive batching, 2 workers, metrics off"),
    System("Ray Serve", RAY, _same("/score", Encoding.ROWS), "batches of 32 requests, 2 ms; 1 replica"),
    System(
        "MLServer",
        MLSERVER,
        _same("/v2/models/fraud/infer", Encoding.V2),
        "adaptive batching of 32 requests, 2 ms; no parallel workers",
    ),
    System(
        "TorchServe as it comes",
        TORCHSERVE,
        _same("/predictions/fraud", Encoding.ROWS),
        "JSON handler, default configuration",
    ),
    System(
        "TorchServe tuned",
        TUNED,
        _same("/predictions/fraud", Encoding.ROWS),
        "the same handler, this service's configuration, 2 workers",
    ),
    System(
        "TorchServe tuned, frames",
        FRAMES,
        _same("/predictions/fraud", Encoding.FRAME, AnswerForm.FRAME),
        "this service's archive and configuration, 2 workers; the caller makes features",
    ),
)
FILE_CALL = SYSTEMS[0].calls[RequestKind.FILE]
BARE = "bare limit"
BARE_SETUP = "no server: features and module in one process; a file by pyarrow in two threads"
