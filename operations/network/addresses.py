"""Which addresses the name in a URL stands for: a headless service of Kubernetes is one name for many servers."""

import socket
from collections.abc import Callable, Collection

import httpx

from operations.errors import OperationsError

Resolve = Callable[[str, int], Collection[str]]
"""Gives the addresses of a host, or raises Unresolved."""
HTTP_PORT = 80


class UnresolvedName(OperationsError):
    """A name stands for nothing now."""


def resolve_host(host: str, port: int) -> list[str]:
    """The addresses of a host; of one with both kinds, those of version 4, for it would count twice.

    Raises:
        UnresolvedName: it has none.
    """
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UnresolvedName(f"{host} is no name that can be resolved here") from None
    first = min(int(family) for family, *_ in infos)
    return sorted({str(address[0]) for family, *_, address in infos if family == first})


def resolve_url(url: str, resolve: Resolve = resolve_host) -> list[str]:
    """The URL, if its name stands for one address; else one for each, in order.

    A certificate is for a name: behind https:// the name is asked, whatever it stands for.

    Raises:
        UnresolvedName: it stands for none.
    """
    parsed = httpx.URL(url)
    if parsed.scheme == "https":
        return [url]
    addresses = resolve(parsed.host, parsed.port or HTTP_PORT)
    return [url] if len(addresses) == 1 else [with_host(url, address) for address in sorted(addresses)]


def with_host(url: str, address: str) -> str:
    """The URL with an address in its name's place."""
    return str(httpx.URL(url).copy_with(host=address))
