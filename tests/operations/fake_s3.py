"""S3 as far as backups use it, over real HTTP: it checks each request's signature (AWS Signature Version 4) itself."""

import hashlib
import hmac
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, urlsplit
from xml.sax.saxutils import escape

KEY_ID, SECRET, BUCKET = "key-id", "key-secret", "bucket"


class FakeS3(ThreadingHTTPServer):
    """One bucket in memory.

    Attributes:
        objects: by key.
        parts: of uploads that are not complete, by key and part number.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to reach it."""
        address = f"http://127.0.0.1:{self.server_port}"
        return {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}


@contextmanager
def running() -> Iterator[FakeS3]:
    """A server on a port of its own."""
    with FakeS3() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Request(BaseHTTPRequestHandler):
    server: FakeS3
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        bucket, _, key = url.path.removeprefix("/").partition("/")
        if bucket != BUCKET or not self._signed(url.path, query, body):
            self._answer(403, "<Error><Code>SignatureDoesNotMatch</Code></Error>")
        elif self.command == "GET" and not key:
            self._answer(200, self._listing(query))
        elif self.command == "POST" and "delete" in query:
            self._delete(re.findall("<Key>(.*?)</Key>", body.decode()))
        else:
            self._object(key, query, body)

    def _object(self, key: str, query: dict[str, str], body: bytes) -> None:
        if self.command == "PUT" and "partNumber" in query:
            self.server.parts[key][int(query["partNumber"])] = body
        elif self.command == "PUT":
            self.server.objects[key] = body
        elif self.command == "POST" and "uploads" in query:
            self.server.parts[key] = {}
        elif self.command == "POST":
            parts = self.server.parts.pop(key)
            self.server.objects[key] = b"".join(parts[number] for number in sorted(parts))
        elif key not in self.server.objects:
            return self._answer(404, "<Error><Code>NoSuchKey</Code></Error>")
        else:
            return self._answer(200, self.server.objects[key])
        names = f"<Bucket>{BUCKET}</Bucket><Key>{escape(key)}</Key><UploadId>1</UploadId><ETag>e</ETag>"
        kind = "InitiateMultipartUploadResult" if "uploads" in query else "CompleteMultipartUploadResult"
        return self._answer(200, f"<{kind}>{names}</{kind}>" if self.command == "POST" else "")

    def _delete(self, keys: list[str]) -> None:
        for key in keys:
            self.server.objects.pop(key, None)
        deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self._answer(200, f"<DeleteResult>{deleted}</DeleteResult>")

    def _listing(self, query: dict[str, str]) -> str:
        found = [key for key in sorted(self.server.objects) if key.startswith(query.get("prefix", ""))]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.server.objects[key])}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>e</ETag></Contents>"
            for key in found
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"

    def _answer(self, status: int, body: str | bytes) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in (("Content-Length", str(len(data))), ("ETag", '"e"')):
            self.send_header(name, value)
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(data)

    def _signed(self, path: str, query: dict[str, str], body: bytes) -> bool:
        """Whether the request bears the signature that its holder of the secret would make."""
        algorithm, _, rest = self.headers.get("authorization", "").partition(" ")
        fields = dict(field.strip().split("=", 1) for field in rest.split(",") if "=" in field)
        if algorithm != "AWS4-HMAC-SHA256" or self.headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            return False
        names = fields["SignedHeaders"].split(";")
        headers = "".join(f"{name}:{' '.join(self.headers[name].split())}\n" for name in names)
        pairs = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
        request = "\n".join(
            [self.command, path, pairs, headers, fields["SignedHeaders"], self.headers["x-amz-content-sha256"]]
        )
        identity, _, scope = fields["Credential"].partition("/")
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"{algorithm}\n{self.headers['x-amz-date']}\n{scope}\n{digest}"
        return identity == KEY_ID and hmac.compare_digest(_signature(scope, text), fields["Signature"])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives it
        """Says nothing."""


def _signature(scope: str, text: str) -> str:
    key = f"AWS4{SECRET}".encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
