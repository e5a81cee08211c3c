"""What RFC 9110 and 9112 say that a server must do, case by case."""

from tests.gateway.corpus.case import CLOSE, HOST, JSON, KEYED, MARK, Case, message, one

MARKED = MARK.encode()
OK, BAD = one(200), one(400)
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(JSON), JSON)
POST = b"POST /v1/score HTTP/1.1"
LENGTH = b"Content-Length: %d\r\n" % len(JSON)


def cases() -> list[Case]:
    """All of them."""
    return [*_hosts(), *_heads(), *_lines(), *_lengths(), *_codings(), *_chunks(), *_sizes(), *_turns()]


def _hosts() -> list[Case]:
    rule = "9112, 3.2"
    bad = {
        "missing": b"",
        "twice": HOST + HOST,
        "two that differ": HOST + b"Host: y\r\n",
        "with a blank": b"Host: a b\r\n",
        "with a path": b"Host: a/b\r\n",
        "with a user": b"Host: a@b\r\n",
        "with a port that is none": b"Host: a:b\r\n",
        "two in a list": b"Host: a, b\r\n",
        "with a bracket": b"Host: [::1\r\n",
        "with a quote": b'Host: "%s"\r\n' % MARKED,
        "not ASCII": "Host: ä\r\n".encode(),
    }
    good = {
        "with a port": b"Host: a:80\r\n",
        "IPv6": b"Host: [::1]:80\r\n",
        "empty": b"Host:\r\n",
        "escaped": b"Host: %41\r\n",
        "in capitals": b"HOST: X\r\n",
        "with blanks around": b"Host: \t x \t\r\n",
    }
    return [
        *(Case(f"Host {name}", message(host=host), BAD, one(400, 200), rule=rule) for name, host in bad.items()),
        *(Case(f"Host {name}", message(host=host), OK, one(200, 400), rule=rule) for name, host in good.items()),
        Case("HTTP/1.0 without Host", message(b"GET /v1/contract HTTP/1.0", host=b""), OK, rule=rule),
        Case("HTTP/1.0 with two", message(b"GET /v1/contract HTTP/1.0", host=HOST + b"Host: y\r\n"), BAD, rule=rule),
    ]


def _heads() -> list[Case]:
    bad = {
        "a blank before the colon": (b"A : b\r\n", "9112, 5.1"),
        "a folded line": (b"A: b\r\n c\r\n", "9112, 5.2"),
        "a folded line by a tab": (b"A: b\r\n\tc\r\n", "9112, 5.2"),
        "no colon": (b"%s\r\n" % MARKED, "9112, 5"),
        "no name": (b": %s\r\n" % MARKED, "9110, 5.1"),
        "NUL in a value": (b"A: b\0c\r\n", "9110, 5.5"),
        "CR in a value": (b"A: b\rc\r\n", "9112, 2.2"),
        "LF for CRLF": (b"A: b\n", "9112, 2.2"),
        "a bell in a value": (b"A: b\x07\r\n", "9110, 5.5"),
        "DEL in a value": (b"A: b\x7f\r\n", "9110, 5.5"),
        "a control in a name": (b"A\x01: b\r\n", "9110, 5.1"),
        "a bracket in a name": (b"A(: b\r\n", "9110, 5.1"),
        "a blank in a name": (b"A b: c\r\n", "9110, 5.1"),
        "a slash in a name": (b"A/b: c\r\n", "9110, 5.1"),
        "a name that is not ASCII": ("Ä: b\r\n".encode(), "9110, 5.1"),
        "NUL in a name": (b"A\0: b\r\n", "9110, 5.1"),
    }
    found = [
        Case(f"head: {name}", message(more=line), BAD, one(400, 200), rule=rule) for name, (line, rule) in bad.items()
    ]
    first = b" A: b\r\n" + HOST
    return [
        *found,
        Case("head: a blank before the first name", message(host=first), BAD, one(400, 200), rule="9112, 2.2"),
        Case("head: bare LF everywhere", message().replace(b"\r\n", b"\n"), BAD, one(400, 200), rule="9112, 2.2"),
        Case("head: an empty value", message(more=b"A:\r\n"), OK, rule="9110, 5.5"),
        Case("head: a value that is not ASCII", message(more=b"A: \xff\xfe\r\n"), OK, rule="9110, 5.5"),
        Case(
            "head: an unknown expectation", message(more=b"Expect: %s\r\n" % MARKED), one(200, 417), rule="9110, 10.1"
        ),
        Case("head: CRLF before the line", b"\r\n" + message(), OK, rule="9112, 2.2"),
        Case("head: an upgrade", message(more=b"Connection: Upgrade\r\nUpgrade: h2c\r\n"), OK, rule="9110, 7.8"),
    ]


def _lines() -> list[Case]:
    bad = [
        b"GET /v1/contract",
        b"GET",
        b"GET /v1/contract HTTP/0.9",
        b"GET /v1/contract HTTP/1.2",
        b"GET /v1/contract HTTP/2.0",
        b"GET /v1/contract HTTP/3",
        b"GET /v1/contract HTTP/1",
        b"GET /v1/contract HTTP/11.1",
        b"GET /v1/contract http/1.1",
        b"GET /v1/contract HTTP/1.1 x",
        b"GET /v1/contract?%s x HTTP/1.1" % MARKED,
        b"GET\t/v1/contract\tHTTP/1.1",
        b" GET /v1/contract HTTP/1.1",
        b"get /v1/contract HTTP/1.1",
        b"G@T /v1/contract HTTP/1.1",
        b"%s /v1/contract HTTP/1.1" % MARKED,
        b"GET v1/contract HTTP/1.1",
        b"GET ?%s HTTP/1.1" % MARKED,
        b"GET #a HTTP/1.1",
        b"GET /v1/contract#%s HTTP/1.1" % MARKED,
        b"GET /\0 HTTP/1.1",
        b"GET /\x01 HTTP/1.1",
        b"GET /\x7f HTTP/1.1",
        "GET /ä HTTP/1.1".encode(),
        b"GET * HTTP/1.1",
        b"GET ftp://x/ HTTP/1.1",
        b"GET http://u@x/v1/contract HTTP/1.1",
        b"GET http:///v1/contract HTTP/1.1",
        b"CONNECT x:443 HTTP/1.1",
        b"CONNECT / HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.6",
        b"{}",
    ]
    other = {
        b"GET http://x/v1/contract HTTP/1.1": (OK, None),
        b"GET HTTP://y:1/v1/contract HTTP/1.1": (OK, one(200, 400)),
        b"GET https://x/v1/contract?a=b HTTP/1.1": (OK, None),
        b"GET http://x HTTP/1.1": (one(307), None),
        b"GET http://x?%s HTTP/1.1" % MARKED: (one(307), one(307, 400)),
        b"GET /v1/contract?%s HTTP/1.1" % MARKED: (OK, None),
        b"GET /%s HTTP/1.1" % MARKED: (one(404), None),
        b"GET /%00 HTTP/1.1": (one(404), None),
        b"GET /%zz HTTP/1.1": (one(404), None),
        b"GET /%ff HTTP/1.1": (one(404), None),
        b"GET /v1/contract/../../etc/passwd HTTP/1.1": (one(404), None),
        b"GET //v1/contract HTTP/1.1": (one(404), None),
        b"OPTIONS * HTTP/1.1": (one(404, 405), None),
        b"OPTIONS /v1/contract HTTP/1.1": (one(405), None),
        b"TRACE /v1/contract HTTP/1.1": (one(405), None),
        b"PUT /upload HTTP/1.1": (one(405), None),
        b"DELETE /v1/contract HTTP/1.1": (one(405), None),
        b"PATCH /v1/labels HTTP/1.1": (one(405), None),
        b"PROPFIND / HTTP/1.1": (one(405), None),
        b"HEAD /upload HTTP/1.1": (one(405), None),
        b"GET /upload HTTP/1.1": (one(405), None),
        b"FETCH /v1/contract HTTP/1.1": (BAD, one(400, 405)),
    }
    return [
        *(Case(f"line {line!r}", message(line), BAD, one(400, 404, 405, 200), rule="9112, 3") for line in bad),
        *(
            Case(f"line {line!r}", message(line), statuses, entry, rule="9112, 3")
            for line, (statuses, entry) in other.items()
        ),
    ]


def _lengths() -> list[Case]:
    bad = [
        b"+%d",
        b"-%d",
        b"0x%d",
        b"%d.0",
        b"%d %d",
        b"%d, %d",
        b"%d_0",
        b"%d;",
        b"'%d'",
        b"999999999999999999999999999999%d",
        b"1e%d",
    ]
    number = len(JSON)
    found = [
        Case(
            f"Content-Length {each!r}",
            message(POST, b"Content-Length: " + each.replace(b"%d", b"%d" % number) + b"\r\n", JSON),
            BAD,
            one(400, 200),
            rule="9112, 6.3",
        )
        for each in bad
    ]
    twice, differ = LENGTH + LENGTH, b"Content-Length: 0\r\n" + LENGTH
    return [
        *found,
        Case("Content-Length empty", message(POST, b"Content-Length:\r\n", JSON), BAD, rule="9112, 6.3"),
        Case("Content-Length twice", message(POST, twice, JSON), BAD, one(400, 200), rule="9112, 6.3"),
        Case("Content-Length twice, differing", message(POST, differ, JSON), BAD, rule="9112, 6.3"),
        Case("Content-Length that hides a request", message(POST, differ, SMUGGLED), BAD, rule="9112, 11.2"),
        Case("no body and no length", message(POST), one(422), rule="9112, 6.3"),
        Case("a body without a length", message(POST, b"", JSON), one(422), rule="9112, 6.3"),
        Case("a body shorter than its length", message(POST, LENGTH, JSON[:-1]), (), cut=True, rule="9112, 8"),
        Case("a body with HEAD", message(b"HEAD /livez HTTP/1.1", LENGTH, JSON), OK, rule="9110, 9.3.2"),
        Case("a body with GET", message(more=LENGTH, body=JSON), OK, rule="9110, 9.3.1"),
        Case(
            "an announced exabyte",
            message(POST, b"Content-Length: 1%s\r\n" % (b"0" * 18)),
            one(413),
            cut=True,
            rule="9110, 15.5.14",
        ),
    ]


def _codings() -> list[Case]:
    bad = [
        b"identity",
        b"gzip",
        b"gzip, chunked",
        b"chunked, gzip",
        b"chunked, chunked",
        b"xchunked",
        b"chunked;q=1",
        b'"chunked"',
        b"\x0bchunked",
        b"chunked,",
        b",chunked",
        b"",
    ]
    both = {"before": LENGTH + CHUNKED, "behind": CHUNKED + LENGTH}
    hidden = b"0\r\n\r\n" + SMUGGLED
    return [
        *(
            Case(
                f"Transfer-Encoding {coding!r}",
                message(POST, b"Transfer-Encoding: %s\r\n" % coding, CHUNKS),
                BAD,
                one(400, 422, 200, 501),
                rule="9112, 6.1",
            )
            for coding in bad
        ),
        *(
            Case(
                f"Transfer-Encoding, a Content-Length {place}",
                message(POST, head, CHUNKS),
                BAD,
                one(400, 200),
                rule="9112, 6.1",
            )
            for place, head in both.items()
        ),
        Case("two Transfer-Encodings", message(POST, CHUNKED + CHUNKED, CHUNKS), BAD, one(400, 200), rule="9112, 6.1"),
        Case(
            "Transfer-Encoding in HTTP/1.0",
            message(b"POST /v1/score HTTP/1.0", CHUNKED, CHUNKS),
            BAD,
            one(400, 200),
            rule="9112, 6.1",
        ),
        Case(
            "chunks that hide a request", message(POST, LENGTH + CHUNKED, hidden), BAD, one(400, 422), rule="9112, 11.2"
        ),
        Case(
            "a blank that hides a coding",
            message(POST, b"Transfer-Encoding : chunked\r\n", CHUNKS),
            BAD,
            rule="9112, 11.2",
        ),
        Case("a coding in capitals", message(POST, b"Transfer-Encoding: \tCHUNKED \r\n", CHUNKS), OK, rule="9112, 7"),
        Case(
            "an underscore is no hyphen",
            message(POST, b"Transfer_Encoding: chunked\r\n" + LENGTH, JSON),
            OK,
            rule="9110, 5.1",
        ),
    ]


def _chunks() -> list[Case]:
    size = b"%x" % len(JSON)
    bad = {
        "0x": b"0x" + CHUNKS,
        "a minus": b"-" + CHUNKS,
        "a plus": b"+" + CHUNKS,
        "no size": b"\r\n" + JSON + b"\r\n0\r\n\r\n",
        "no number": b"g\r\n" + CHUNKS,
        "over 64 bits": b"f" * 17 + b"\r\n" + JSON,
        "bare LF": CHUNKS.replace(b"\r\n", b"\n"),
        "more data than its size": b"1\r\n" + JSON + b"\r\n0\r\n\r\n",
        "less data than its size": size + b"\r\n" + JSON[:-1] + b"\r\n0\r\n\r\n",
        "a CR alone behind": size + b"\r\n" + JSON + b"\r0\r\n\r\n",
        "NUL in an extension": size + b";a\0b\r\n" + JSON + b"\r\n0\r\n\r\n",
        "LF in an extension": size + b";a\nb\r\n" + JSON + b"\r\n0\r\n\r\n",
        "CR in an extension": size + b";\rb\r\n" + JSON + b"\r\n0\r\n\r\n",
        "a trailer without colon": CHUNKS[:-2] + MARKED + b"\r\n\r\n",
        "a Content-Length as trailer": CHUNKS[:-2] + LENGTH + b"\r\n",
        "a blank in a trailer's name": CHUNKS[:-2] + b"A : b\r\n\r\n",
    }
    good = {
        "an extension": size + b";a=b\r\n" + JSON + b"\r\n0\r\n\r\n",
        "a quoted extension": size + b';a="b"\r\n' + JSON + b"\r\n0\r\n\r\n",
        "leading zeros": b"000" + CHUNKS,
        "a trailer": CHUNKS[:-2] + b"X-API-Key: wrong\r\nHost: y\r\n\r\n",
        "capital digits": size.upper() + b"\r\n" + JSON + b"\r\n0\r\n\r\n",
    }
    return [
        *(
            Case(f"chunk: {name}", message(POST, CHUNKED, body), BAD, one(400, 422, 200), cut=True, rule="9112, 7.1")
            for name, body in bad.items()
        ),
        *(Case(f"chunk: {name}", message(POST, CHUNKED, body), OK, rule="9112, 7.1") for name, body in good.items()),
        Case("chunks that end early", message(POST, CHUNKED, CHUNKS[:-5]), (), cut=True, rule="9112, 8"),
    ]


def _sizes() -> list[Case]:
    rule = "9110, 15.5; 6585, 5"
    many = b"A: b\r\n" * 12_000
    return [
        Case("a target of 8,100 bytes", message(b"GET /v1/contract?%s HTTP/1.1" % (b"a" * 8_083)), OK, rule=rule),
        Case("a target of 9 kB", message(b"GET /%s HTTP/1.1" % (b"a" * 9_000)), one(414), rule=rule),
        Case("a target of 70 kB", message(b"GET /%s HTTP/1.1" % (b"a" * 70_000)), one(414), rule=rule),
        Case("a header of 60 kB", message(more=b"A: %s\r\n" % (b"a" * 60_000)), OK, rule=rule),
        Case("a header of 70 kB", message(more=b"A: %s\r\n" % (b"a" * 70_000)), one(431), rule=rule),
        Case("a header of 100 kB", message(more=b"A: %s\r\n" % (b"a" * 100_000)), one(431), one(400), rule=rule),
        Case("a name of 70 kB", message(more=b"%s: a\r\n" % (b"a" * 70_000)), one(431), one(400), rule=rule),
        Case("12,000 headers", message(more=many), one(431), one(400), rule=rule),
        Case(
            "a trailer of 400 kB",
            message(POST, CHUNKED, CHUNKS[:-2] + b"a: " + b"x" * 400_000 + b"\r\n\r\n"),
            one(431),
            one(400, 431, 200),
            rule=rule,
        ),
        Case(
            "an extension of 400 kB",
            message(POST, CHUNKED, b"1;" + b"x" * 400_000 + b"\r\n"),
            one(431),
            one(408),
            rule=rule,
        ),
    ]


def _turns() -> list[Case]:
    rule = "9112, 9.3"
    first = b"GET /v1/contract HTTP/1.1\r\n" + HOST + KEYED + b"\r\n"
    posts = POST + b"\r\n" + HOST + KEYED + LENGTH
    two = (frozenset({200}), frozenset({200}))
    refused = (frozenset({200}), frozenset({400}))
    return [
        Case("two requests at once", first + message(), two, rule=rule),
        Case("two with bodies", posts + b"\r\n" + JSON + message(POST, LENGTH, JSON), two, rule=rule),
        Case(
            "the preface of HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
            BAD,
            BAD + BAD,
            rule="9112, 3",
        ),
        Case("rubbish behind a request", first + MARKED + b"\r\n\r\n", refused, rule=rule),
        Case("no Host behind a request", first + message(host=b""), refused, rule=rule),
        Case("a request behind the last", message() + first, OK, rule="9112, 9.6"),
        Case("an expectation", message(POST, LENGTH + b"Expect: 100-continue\r\n", JSON), OK, rule="9110, 10.1.1"),
        Case(
            "an expectation in HTTP/1.0",
            message(b"POST /v1/score HTTP/1.0", LENGTH + b"Expect: 100-continue\r\n", JSON),
            OK,
            rule="9110, 10.1.1",
        ),
        Case("HTTP/1.0 with keep-alive", b"GET /livez HTTP/1.0\r\n" + CLOSE + b"\r\n", OK, rule="9112, 9.3"),
    ]
