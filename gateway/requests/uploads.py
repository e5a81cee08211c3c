"""Files out of a request's body: multipart or the bare text. In memory only, within byte budgets.

A body is received before it takes a slot: while it arrives, and while it waits for its turn, it counts by the bytes
that have come. Further budgets bound the bodies that are scored at a time, in the order in which they became whole.
Small bodies have a budget of their own and need no slot, medium ones have slots of their own: neither waits for a large
one.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from gateway.allocator import TRIM_BYTES, trim
from gateway.http.body_limit import LARGE_BODY_BYTES, too_large
from gateway.http.byte_budget import ByteBudget, Reservation, TransferLimits
from gateway.http.problems import NotScorable, NotSupported, Problem, TooSlow
from gateway.http.protocol import WHOLE
from gateway.http.safe_names import safe_file_name
from gateway.metrics import Metrics
from gateway.requests.compression import unpack
from gateway.requests.payload import INLINE_BYTES
from gateway.settings import GatewaySettings

FORM_FIELDS = 16
"""Parts that are no files: more than a client adds by itself is refused."""

CSV = "text/csv"
FILE_NAMES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
CHUNK_BYTES = 262_144
SMALL_BODIES_BYTES = 4_000_000
"""All bodies together that announce INLINE_BYTES or less."""
MEDIUM_BODY_BYTES = LARGE_BODY_BYTES
"""Up to this size a body waits for no larger one: some 3,000 rows, which are scored in 50 ms."""
MEDIUM_SLOTS = 4
"""Medium bodies that are scored at a time: one gains from it what another waits for the model server."""
NO_SLOT = nullcontext()
BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{1,70}")
"""RFC 2046."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file.

    Attributes:
        name: its own where it is plainly one; else its position among the files, as in #2.
        problem: instead of a body, where the file itself is refused.
    """

    name: str
    body: bytes
    problem: Problem | None = None


class Uploads:
    """Receives bodies, and bounds how many of them are scored at a time."""

    def __init__(self, settings: GatewaySettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._limits = TransferLimits(settings.read_seconds, settings.stall_seconds, settings.least_rate)
        self._large, self._small = (
            ByteBudget(total, settings.slot_seconds) for total in (settings.body_bytes, SMALL_BODIES_BYTES)
        )
        self._scoring = ByteBudget(settings.scoring_bytes, settings.slot_seconds, settings.upload_slots)
        self._scoring_medium = ByteBudget(MEDIUM_SLOTS * MEDIUM_BODY_BYTES, settings.slot_seconds, MEDIUM_SLOTS)

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[bytearray]:
        """The whole body, which counts as memory until the end of the context.

        Raises:
            TooLarge: it grew over the limit.
            TooSlow: it did not arrive in time, or more slowly than others while there was no room for all.
            Busy: there was no room for it.
        """
        is_little = is_small(request)
        with (self._small if is_little else self._large).reserve() as reservation:
            if is_little and request.scope.get(WHOLE):
                yield await self._take_body(request, reservation)
            else:
                yield await self._read_body(request, reservation)

    async def unpacked(self, request: Request, body: bytearray) -> bytearray:
        """The body as it was before it was compressed, if it was.

        Raises:
            NotSupported: its encoding is another one.
            NotScorable, TooLarge: as `compression.unpack`.
        """
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding == "identity":
            return body
        if encoding not in {"gzip", "x-gzip"}:
            raise NotSupported("The Content-Encoding must be gzip, or none.")
        return bytearray(await self._unpack(body, self._settings.max_upload_bytes))

    def reserve_small(self) -> Reservation:
        """Memory for a small body that is there already."""
        return self._small.reserve()

    def slot(self, body: bytearray) -> AbstractAsyncContextManager[None]:
        """A turn at being scored, for a body that is whole; a small one needs none.

        Raises:
            Busy: none came free in time.
        """
        return NO_SLOT if len(body) <= INLINE_BYTES else self._slot(len(body))

    @asynccontextmanager
    async def _slot(self, size: int) -> AsyncIterator[None]:
        budget = self._scoring_medium if size <= MEDIUM_BODY_BYTES else self._scoring
        try:
            with budget.reserve() as reservation:
                await reservation.acquire(size)
                yield
        finally:
            if size > TRIM_BYTES:
                await asyncio.to_thread(trim)

    async def read_file(self, request: Request, body: bytearray) -> Upload:
        """The file of an upload: the part `file`, or a text/csv body. The body itself is empty afterwards.

        Raises:
            Problem: it is not there.
        """
        if media_type(request) == CSV:
            file = Upload("", bytes(body))
            body.clear()
            return file
        files = await self._read_files(request, body, "file", 1)
        if files[0].problem:
            raise files[0].problem
        return files[0]

    async def read_files(self, request: Request, body: bytearray) -> Sequence[Upload]:
        """The files of a batch: the parts `files`, in their order. The body itself is empty afterwards.

        Raises:
            Problem: there is none.
        """
        return await self._read_files(request, body, "files", self._settings.max_batch_files)

    async def _take_body(self, request: Request, reservation: Reservation) -> bytearray:
        """A body that is there already, without the timers of one that arrives: they took a third of its time."""
        with self._metrics.stage("read"):
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body = bytearray(message["body"])
            await reservation.acquire(len(body))
            return body

    async def _read_body(self, request: Request, reservation: Reservation) -> bytearray:
        body = bytearray()
        with self._metrics.stage("read"):
            try:
                async with reservation.transfer(self._limits):
                    async for piece in request.stream():
                        await reservation.acquire(len(piece))
                        body += piece
                        reservation.progressed(len(piece))
            except TimeoutError:
                raise TooSlow from None
        return body

    async def _read_files(self, request: Request, body: bytearray, field: str, max_files: int) -> list[Upload]:
        try:
            files = await _read_form(request, body, field, max_files)
        except MultiPartException:
            raise NotScorable(f"Not a whole form of at most {max_files} files, all named {field}.") from None
        if not files:
            raise NotScorable(f"The form has no file under the name {field}.")
        return [await self._upload(name, file, position) for position, (name, file) in enumerate(files, 1)]

    async def _upload(self, filename: str, body: bytes, position: int) -> Upload:
        name, limit = safe_file_name(filename, position), self._settings.max_upload_bytes
        if not filename.lower().endswith(FILE_NAMES):
            return Upload(name, b"", NotSupported(f"The file's name does not end in {', '.join(FILE_NAMES)}."))
        if len(body) > limit:
            return Upload(name, b"", too_large(limit))
        if not filename.lower().endswith(".gz"):
            return Upload(name, body)
        try:
            return Upload(name, await self._unpack(body, limit))
        except Problem as problem:
            return Upload(name, b"", problem)

    async def _unpack(self, body: bytes | bytearray, limit: int) -> bytes:
        if len(body) <= INLINE_BYTES:
            return unpack(body, limit)
        return await asyncio.to_thread(unpack, body, limit)


class _InMemoryParser(MultiPartParser):
    """Never spills to disk: the body's limit bounds it, and card data belongs on no disk of ours."""

    spool_max_size = 1 << 40
    complete = False

    def on_end(self) -> None:
        """The closing boundary: a form without it was cut short, and may lack files."""
        self.complete = True

    def close(self) -> None:
        """Closes every file that was begun: the parser itself forgets the last one of a form that was cut short."""
        for file in self._files_to_close_on_error:
            file.close()


async def _read_form(request: Request, body: bytearray, field: str, max_files: int) -> list[tuple[str, bytes]]:
    parser = _InMemoryParser(_boundary_alone(request), _chunks(body), max_files=max_files, max_fields=FORM_FIELDS)
    try:
        form = await parser.parse()
        files = [(name, value) for name, value in form.multi_items() if isinstance(value, UploadFile)]
        if not parser.complete or any(name != field for name, _ in files):
            raise MultiPartException("cut short, or with a file that nobody asked for")
        return [(file.filename or "", await _read_all(file)) for _, file in files]
    finally:
        parser.close()


async def _chunks(body: bytearray) -> AsyncGenerator[bytes]:
    """The body in pieces, each gone from it when the next is asked for; other requests have a turn in between."""
    while body:
        piece = bytes(body[:CHUNK_BYTES])
        del body[:CHUNK_BYTES]
        yield piece
        await asyncio.sleep(0)


async def _read_all(file: UploadFile) -> bytes:
    """The content of a file, which is closed: nothing is held twice."""
    body = await file.read()
    await file.close()
    return body


def _boundary_alone(request: Request) -> Headers:
    """The content type without a charset: Python has some whose decoders take minutes, or give what is no text."""
    _, parameters = parse_options_header(request.headers.get("content-type"))
    boundary = parameters.get(b"boundary", b"")
    if not BOUNDARY.fullmatch(boundary):
        raise MultiPartException("it does not say where its parts begin")
    return Headers({"content-type": f'multipart/form-data; boundary="{boundary.decode()}"'})


def require_csv(media_type: str) -> None:
    """Refuses a body that is neither a form nor CSV.

    Raises:
        NotSupported: it is not.
    """
    if media_type != CSV:
        require_form(media_type)


def require_form(media_type: str) -> None:
    """Refuses a body that is no form.

    Raises:
        NotSupported: it is not.
    """
    if media_type != "multipart/form-data":
        raise NotSupported("Send multipart/form-data; a single file may also come as text/csv.")


def is_small(request: Request) -> bool:
    """Whether the announced length is small enough to be worked on inline; the server enforces that length."""
    announced = request.headers.get("content-length", "")
    return announced.isdecimal() and int(announced) <= INLINE_BYTES


def media_type(request: Request) -> str:
    """The content type without its parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
