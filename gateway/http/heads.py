"""What RFC 9110 and 9112 demand of a request's head beyond what llhttp, the parser, checks itself.

What they leave to a server's choice is a 400 here, where it may as well be a 501 or a 505: the caller is at fault, and
no alarm for errors of ours shall go off because of a scanner.
"""

import re
from collections.abc import Sequence

from gateway.http.problems import NotHttp

VERSIONS = frozenset({"1.0", "1.1"})
HOST_PATTERN = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|([0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(:[0-9]*)?")
"""RFC 9110, 7.2: a host and perhaps a port. It may be empty."""
ABSOLUTE = re.compile(rb"https?://(?P<host>[^/?#]+)(?P<path>[^#]*)", re.IGNORECASE)
CHUNKED = b"chunked"
BLANK = b" \t"

Headers = Sequence[tuple[bytes, bytes]]


def check_head(version: str, headers: Headers) -> None:
    """Checks what a request says of its version, its host and its framing; names are in lower case.

    Raises:
        NotHttp: the head may not be acted upon.
    """
    if version not in VERSIONS:
        raise NotHttp("HTTP/1.1 is spoken here.")
    _check_host(version, [value.strip(BLANK) for name, value in headers if name == b"host"])
    codings = [value.strip(BLANK).lower() for name, value in headers if name == b"transfer-encoding"]
    if codings and (version == "1.0" or codings != [CHUNKED]):
        raise NotHttp("The only transfer coding is chunked, once, and in HTTP/1.1.")


def origin_form(method: bytes, target: bytes) -> bytes:
    """The path and query of a request target, which may be a whole http address too.

    Raises:
        NotHttp: it is neither.
    """
    if (target.startswith(b"/") and b"#" not in target) or (target == b"*" and method == b"OPTIONS"):
        return target
    absolute = ABSOLUTE.fullmatch(target)
    if not absolute or not HOST_PATTERN.fullmatch(absolute["host"]):
        raise NotHttp("The request target is neither a path nor an address.")
    path = absolute["path"]
    return path if path.startswith(b"/") else b"/" + path


def _check_host(version: str, hosts: Sequence[bytes]) -> None:
    if len(hosts) > 1 or (not hosts and version != "1.0"):
        raise NotHttp("One Host header is needed.")
    if hosts and not HOST_PATTERN.fullmatch(hosts[0]):
        raise NotHttp("The Host header is neither a host nor a host and a port.")
