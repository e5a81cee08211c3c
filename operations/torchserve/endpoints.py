"""The TorchServe instances behind MANAGEMENT_URL and INFERENCE_URL: one for each address of the name."""

from typing import NamedTuple

import httpx

from operations.network import addresses
from operations.network.addresses import Resolve, resolve_host
from operations.torchserve.client import TorchServeClient


class TorchServeEndpoint(NamedTuple):
    """One TorchServe, by its two addresses."""

    management: str
    inference: str

    def server(self) -> TorchServeClient:
        """A connection to it."""
        return TorchServeClient(self.management.rstrip("/"), self.inference.rstrip("/"))


def resolve_endpoints(management: str, inference: str, resolve: Resolve = resolve_host) -> list[TorchServeEndpoint]:
    """The servers behind both URLs, in order.

    Where the name in the management URL stands for one address, both are used as they are given. Where it stands for
    several, each is a server, and its inference port is asked at the same address: the name in the inference URL may
    lead to any of them.

    Raises:
        UnresolvedName: the name stands for none.
    """
    urls = addresses.resolve_url(management, resolve)
    if len(urls) == 1:
        return [TorchServeEndpoint(management, inference)]
    return [TorchServeEndpoint(url, addresses.with_host(inference, httpx.URL(url).host)) for url in urls]
