"""Files out of a request's body: multipart or the bare text. In memory only, each and all together bounded.

A body may be read while it holds one of the reading slots, and scored while it holds one of the fewer scoring slots
too: so callers who send slowly keep nobody from being scored.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from gateway.body_limit import too_large
from gateway.harmless import file_name
from gateway.metrics import Metrics
from gateway.problems import Busy, NotScorable, NotSupported, Problem, TooSlow
from gateway.settings import Settings

FORM_FIELDS = 16
"""Parts that are no files: more than a client adds by itself is refused."""


BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{1,70}")
"""RFC 2046."""


class NoBoundaryError(ValueError):
    """A form that does not say where its parts begin."""


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
    """Reads uploads, a few at a time."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Takes the limits."""
        self._settings = settings
        self._metrics = metrics
        self._reading = asyncio.Semaphore(settings.read_slots)
        self._scoring = asyncio.Semaphore(settings.upload_slots)

    def place(self) -> AbstractAsyncContextManager[None]:
        """Room for one body in memory.

        Raises:
            Busy: none came free in time.
        """
        return self._held(self._reading)

    def slot(self) -> AbstractAsyncContextManager[None]:
        """A turn at being scored, for a body that has been read.

        Raises:
            Busy: none came free in time.
        """
        return self._held(self._scoring)

    @asynccontextmanager
    async def _held(self, slots: asyncio.Semaphore) -> AsyncIterator[None]:
        try:
            await asyncio.wait_for(slots.acquire(), self._settings.slot_seconds)
        except TimeoutError:
            raise Busy from None
        try:
            yield
        finally:
            slots.release()

    async def one(self, request: Request) -> Upload:
        """The file of an upload: the part `file`, or a text/csv body.

        Raises:
            Problem: it is not there, or of another kind.
        """
        if media_type(request) == "text/csv":
            return Upload("", await self.body(request))
        files = await self._parts(request, "file", 1)
        if files[0].problem:
            raise files[0].problem
        return files[0]

    async def many(self, request: Request) -> Sequence[Upload]:
        """The files of a batch: the parts `files`, in their order.

        Raises:
            Problem: there is none, or the body is of another kind.
        """
        return await self._parts(request, "files", self._settings.max_batch_files)

    async def body(self, request: Request) -> bytes:
        """The whole body.

        Raises:
            TooLarge: it grew over the limit.
            TooSlow: it did not arrive in time.
        """
        with self._metrics.stage("read"):
            try:
                async with asyncio.timeout(self._settings.read_seconds):
                    return await request.body()
            except TimeoutError:
                raise TooSlow from None

    async def _parts(self, request: Request, field: str, most: int) -> list[Upload]:
        if media_type(request) != "multipart/form-data":
            raise NotSupported("Send multipart/form-data; a single file may also come as text/csv.")
        files = await self._form_files(request, field, most)
        if not files:
            raise NotScorable(f"The form has no file under the name {field}.")
        return [self._upload(name, body, position) for position, (name, body) in enumerate(files, 1)]

    async def _form_files(self, request: Request, field: str, most: int) -> list[tuple[str, bytes]]:
        with self._metrics.stage("read"):
            try:
                async with asyncio.timeout(self._settings.read_seconds):
                    return await _read_form(request, field, most)
            except TimeoutError:
                raise TooSlow from None
            except (MultiPartException, NoBoundaryError):
                raise NotScorable(f"Not a whole form of at most {most} files, all named {field}.") from None

    def _upload(self, given: str, body: bytes, position: int) -> Upload:
        name = file_name(given, position)
        if not given.lower().endswith(".csv"):
            return Upload(name, b"", NotSupported("The file's name does not end in .csv."))
        if len(body) > self._settings.max_upload_bytes:
            return Upload(name, b"", too_large(self._settings.max_upload_bytes))
        return Upload(name, body)


class _InMemoryParser(MultiPartParser):
    """Never spills to disk: the body's limit bounds it, and card data belongs on no disk of ours."""

    spool_max_size = 1 << 40
    whole = False

    def on_end(self) -> None:
        """The closing boundary: a form without it was cut short, and may lack files."""
        self.whole = True

    def close(self) -> None:
        """Closes every file that was begun: the parser itself forgets the last one of a form that was cut short."""
        for file in self._files_to_close_on_error:
            file.close()


async def _read_form(request: Request, field: str, most: int) -> list[tuple[str, bytes]]:
    parser = _InMemoryParser(_boundary_alone(request), request.stream(), max_files=most, max_fields=FORM_FIELDS)
    try:
        form = await parser.parse()
        files = [(name, value) for name, value in form.multi_items() if isinstance(value, UploadFile)]
        if not parser.whole or any(name != field for name, _ in files):
            raise MultiPartException("cut short, or with a file that nobody asked for")
        return [(file.filename or "", await file.read()) for _, file in files]
    finally:
        parser.close()


def _boundary_alone(request: Request) -> Headers:
    """The content type without a charset: Python has some whose decoders take minutes, or give what is no text."""
    _, parameters = parse_options_header(request.headers.get("content-type"))
    boundary = parameters.get(b"boundary", b"")
    if not BOUNDARY.fullmatch(boundary):
        raise NoBoundaryError
    return Headers({"content-type": f'multipart/form-data; boundary="{boundary.decode()}"'})


def media_type(request: Request) -> str:
    """The content type without its parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
