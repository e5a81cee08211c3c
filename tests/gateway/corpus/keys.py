"""Requests without a valid key, and with a body of a kind that is not read."""

from tests.gateway.corpus.case import CLOSE, GOOD_CSV, HOST, JSON, KEYED, MARK, Case, message, one, posted

MARKED = MARK.encode()
PATHS = ("/upload", "/predict/batch", "/v1/score", "/v1/labels", "/v1/contract", f"/{MARK}")


def cases() -> list[Case]:
    """All of them."""
    return [*_keys(), *_ids(), *_kinds(), *_parameters()]


def _keys() -> list[Case]:
    wrong = {
        "none": b"",
        "an empty one": b"X-API-Key:\r\n",
        "a wrong one": b"X-API-Key: %s\r\n" % MARKED,
        "one twice": KEYED + KEYED,
        "a wrong one behind": KEYED + b"X-API-Key: x\r\n",
        "a list": b"X-API-Key: k-1, k-1\r\n",
        "bytes that are no text": b"X-API-Key: \xff\xfe\r\n",
        "another header": b"Authorization: Bearer k-1\r\n",
        "one in the query": b"",
    }
    query = {"one in the query": "?X-API-Key=k-1"}
    return [
        Case(
            f"key: {name} at {path}",
            b"POST %s HTTP/1.1\r\n" % (path + query.get(name, "")).encode()
            + HOST
            + CLOSE
            + key
            + b"Content-Length: %d\r\n\r\n" % len(JSON)
            + JSON,
            one(401),
        )
        for path in PATHS
        for name, key in wrong.items()
    ]


def _ids() -> list[Case]:
    """Identities of requests, which would be logged and sent back."""
    ids = [
        MARKED,
        MARKED.replace(b"-", b""),
        MARKED.replace(b"-", b"."),
        b"a-" + MARKED,
        MARKED + b"z",
        MARKED.replace(b"-", b" "),
    ]
    return [Case(f"request id {each!r}", message(more=b"X-Request-ID: %s\r\n" % each), one(200)) for each in ids]


def _kinds() -> list[Case]:
    kinds = [
        b"text/plain",
        b"text/%s" % MARKED,
        b"application/xml",
        b"application/x-www-form-urlencoded",
        b"multipart/mixed; boundary=b",
        b"application/json, text/csv",
        b"%s" % MARKED,
        b"*/*",
        b"\xff\xfe",
    ]
    return [
        Case(f"type {kind!r} at {path}", posted(path, GOOD_CSV, kind), one(415))
        for path in ("/upload", "/predict/batch", "/v1/score")
        for kind in kinds
    ]


def _parameters() -> list[Case]:
    queries = [
        f"on_error={MARK}",
        "on_error=",
        "on_error=skip&on_error=none",
        "record=maybe",
        "record=",
        f"record={MARK}",
    ]
    return [
        Case(f"query {query} at {path}", posted(f"{path}?{query}", body, kind), one(422))
        for query in queries
        for path, body, kind in [("/upload", GOOD_CSV, b"text/csv"), ("/v1/score", JSON, b"application/json")]
    ]
