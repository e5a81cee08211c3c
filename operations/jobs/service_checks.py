"""Whether the service answers as it should: each gateway, each model server, Redis. A part of `fraud check`."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import httpx
from redis.exceptions import RedisError

from environment.bounded_transport import BoundedTransport
from environment.redis_client import connect
from operations.errors import OperationsError
from operations.jobs.finding import RETRY_SECONDS, Finding, fault, good, retry_fault, unknown
from operations.network import addresses
from operations.rollout.deployment import DeploymentTarget
from operations.settings import web_address
from operations.store.release_record import read_record
from operations.torchserve.client import TorchServeClient

TIMEOUT = 5.0
"""Seconds for one answer."""


def gateways(url: str | None, store: Path, retry_seconds: float = RETRY_SECONDS) -> Iterator[Finding]:
    """Whether each gateway behind a URL can score, and serves the version that the record names.

    Args:
        url: a name in it may stand for several gateways; None where none is known here.
        store: with the release record.
        retry_seconds: seconds in which a fault may go away by itself.

    Yields:
        One finding for each address.

    Raises:
        OperationsError: the name stands for none, or the record cannot be read.
    """
    if not url:
        yield unknown("the gateways (GATEWAY_URL is not set)")
        return
    for each in addresses.resolve_url(web_address("GATEWAY_URL", url)):
        yield retry_fault(partial(_gateway, each, store), retry_seconds)


def model_servers(
    running: DeploymentTarget | None, store: Path, retry_seconds: float = RETRY_SECONDS
) -> Iterator[Finding]:
    """Whether the live version has all its workers on each model server.

    Raises:
        OperationsError: the record cannot be read.
    """
    if not running:
        yield unknown("the model server (MANAGEMENT_URL is not set, and no stack runs here)")
        return
    for server in (running.server, *running.others):
        where = f" on {server.address}" if running.others else ""
        yield retry_fault(partial(_workers, server, where, store), retry_seconds)


def redis(url: str | None) -> Finding:
    """Whether Redis answers; its address may hold a password and is not shown."""
    if not url:
        return unknown("Redis (REDIS_URL is not set)")
    try:
        with connect(url, TIMEOUT) as client:
            client.ping()
    except (RedisError, OSError, ValueError) as error:
        return fault(f"Redis does not answer ({type(error).__name__})")
    return good("Redis answers")


def gateway_url(env: Mapping[str, str], running: DeploymentTarget | None) -> str | None:
    """Where the gateways are, as far as it is known here."""
    return env.get("GATEWAY_URL") or (running.gateway_url if running else None)


def _gateway(url: str, store: Path) -> Finding:
    record, name = read_record(store), f"gateway {httpx.URL(url).netloc.decode()}"
    try:
        with httpx.Client(base_url=url, transport=BoundedTransport(), timeout=TIMEOUT, trust_env=False) as client:
            ready = client.get("/readyz").status_code
            version = client.get("/health").json()["components"]["model"]["version"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return fault(f"{name} does not answer as a gateway does ({type(error).__name__})")
    if ready != httpx.codes.OK:
        return fault(f"{name} is not ready (/readyz answers {ready})")
    if record and version != record.version:
        return fault(f"{name} serves version {version}, and version {record.version} is live")
    return good(f"{name} is ready and serves version {version}")


def _workers(server: TorchServeClient, where: str, store: Path) -> Finding:
    record = read_record(store)
    if record is None:
        return unknown("the live version's workers (nothing is released yet)")
    live = f"version {record.version}, which is live,"
    try:
        registered = server.registered().get(record.version)
    except OperationsError as error:
        return fault(str(error))
    if registered is None:
        return fault(f"{live} is not loaded{where}")
    text = f"{registered.ready} of {registered.workers} workers of {live} are ready{where}"
    return good(text) if 0 < registered.workers == registered.ready else fault(text)
