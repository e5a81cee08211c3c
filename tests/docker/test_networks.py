"""Who can reach whom. Each test that something is closed also shows that the same question finds an open door."""

from collections.abc import Iterator

import pytest

from tests.docker.compose import Compose, docker

OUTSIDE = "1.1.1.1"
INFERENCE, MANAGEMENT, METRICS, KEEPER = 8080, 8081, 8082, 8070


@pytest.fixture(scope="module")
def stranger(stack: Compose) -> Iterator[str]:
    """A container on the network that is published, and on Docker's own: the outside."""
    name = f"{stack.project}-stranger"
    docker("run", "-d", "--name", name, "--network", f"{stack.project}_front", "fraud-gateway", "sleep", "3600")
    try:
        docker("network", "connect", "bridge", name)
        yield name
    finally:
        docker("rm", "-f", name)


def test_only_the_entry_is_published(stack: Compose) -> None:
    """One port of this machine leads into the stack, and it is the loopback's unless somebody opens it."""
    published = {
        (stack.inspect(each)["Config"]["Labels"]["com.docker.compose.service"], port, there["HostIp"])
        for each in stack.listed(running=True)
        for port, bound in stack.inspect(each)["NetworkSettings"]["Ports"].items()
        for there in bound or []
    }
    assert published == {("entry", "8000/tcp", "127.0.0.1")}


def test_the_outside_reaches_the_entry_and_nothing_else(stack: Compose, stranger: str) -> None:
    """Inference, management, metrics, Redis and the keeper's page are closed to the outside, by name and by address."""
    assert stack.connects(stranger, "entry", 8000)
    doors = {"torchserve": (INFERENCE, MANAGEMENT, METRICS), "redis": (6379,), "keeper": (KEEPER,), "gateway": (8000,)}
    for service, ports in doors.items():
        for network, address in stack.addresses(stack.container(service)).items():
            if network != "egress":
                for port in ports:
                    assert not stack.connects(stranger, address, port), (service, network, port)


def test_the_gateway_reaches_inference_and_not_management(stack: Compose) -> None:
    """Management is code execution: no address of TorchServe's container has it open for the gateway."""
    gateway = stack.container("gateway")
    assert stack.connects(gateway, "torchserve-inference", INFERENCE)
    for host in ("torchserve", "torchserve-management", *stack.addresses(stack.container("torchserve")).values()):
        assert not stack.connects(gateway, host, MANAGEMENT), host


def test_only_those_who_release_reach_management(stack: Compose) -> None:
    """The keeper and the jobs can ask the management port; Redis' and the entry's containers are not on its network."""
    for service in ("keeper", "schedule"):
        assert stack.connects(stack.container(service), "torchserve-management", MANAGEMENT)
    on_it = {
        stack.inspect(each)["Config"]["Labels"]["com.docker.compose.service"]
        for each in stack.listed(running=True)
        if "management" in stack.addresses(each)
    }
    assert on_it == {"keeper", "schedule", "torchserve"}


def test_management_listens_on_its_own_network_alone(stack: Compose) -> None:
    """Also from inside TorchServe's container, the management port is closed on the network that the gateway is on."""
    torchserve = stack.container("torchserve")
    addresses = stack.addresses(torchserve)
    assert stack.connects(torchserve, addresses["management"], MANAGEMENT)
    assert not stack.connects(torchserve, addresses["inference"], MANAGEMENT)
    assert not stack.connects(torchserve, addresses["management"], INFERENCE)


def test_who_serves_has_no_way_out(stack: Compose) -> None:
    """Docker forwards nothing from the networks of gateway, TorchServe and Redis; the keeper, which alerts, may."""

    def ways_out(service: str) -> set[str]:
        on = stack.addresses(stack.container(service))
        internal = docker("network", "inspect", "-f", "{{.Internal}}", *(f"{stack.project}_{name}" for name in on))
        return {name for name, is_internal in zip(on, internal.split(), strict=True) if is_internal == "false"}

    assert ways_out("keeper") == {"egress"}
    for service in ("gateway", "torchserve", "redis"):
        assert ways_out(service) == set()
    assert not stack.connects(stack.container("gateway"), OUTSIDE, 443)


def test_redis_answers_only_who_has_its_password(stack: Compose) -> None:
    """Without the password Redis says nothing but PONG, and with it nobody may change the server."""
    redis, url = stack.container("redis"), stack.inside(stack.container("gateway"), "cat", "/run/redis/url").output
    password = url.strip().removeprefix("redis://fraud:").partition("@")[0]
    assert "NOAUTH" in stack.inside(redis, "redis-cli", "get", "x").output
    known = ("redis-cli", "--user", "fraud", "--pass", password, "--no-auth-warning")
    assert stack.inside(redis, *known, "ping").output.strip() == "PONG"
    assert "NOPERM" in stack.inside(redis, *known, "config", "get", "dir").output
    assert "NOPERM" in stack.inside(redis, *known, "flushall").output
