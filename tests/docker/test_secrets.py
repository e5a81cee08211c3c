"""What lies in the volumes, and who sees it."""

import pytest

from tests.docker.compose import Compose

OPEN = "find {} -xdev {} ! -type l ! -path /srv/var ! -path '/srv/var/jobs*' -perm /077"
"""What others than its owner may touch; how jobs ended is for node_exporter, and `var` is passed through on the way."""
SERVICES = ("entry", "gateway", "torchserve", "keeper", "schedule", "redis")
KNOW_THE_HISTORY_KEY = {"gateway", "keeper", "schedule"}


def test_what_the_stack_writes_is_its_owner_s_alone(stack: Compose) -> None:
    """No file or directory in a volume may be read, listed or written by another user."""
    mounts = {
        mount["Destination"]: stack.container(service)
        for service in SERVICES
        for mount in stack.inspect(stack.container(service))["Mounts"]
        if mount["Type"] == "volume"
    }
    found = {
        # What Redis writes has the modes of its image; nobody passes into the directory.
        place: stack.inside(at, "sh", "-c", OPEN.format(place, "-maxdepth 0" if place == "/data" else "")).output
        for place, at in mounts.items()
    }
    assert len(found) == 6
    assert set(found.values()) == {""}, found


@pytest.mark.parametrize("service", ["entry", "gateway", "redis"])
def test_who_loads_nothing_sees_no_verified_copies(stack: Compose, service: str) -> None:
    """The volume from which TorchServe loads is not even mounted there."""
    mounts = stack.inside(stack.container(service), "cat", "/proc/mounts").output
    assert "/sys" in mounts
    assert "/srv/verified" not in mounts


def test_who_serves_and_who_trains_cannot_write_verified_copies(stack: Compose) -> None:
    """TorchServe mounts them read-only, the job that reads foreign data not at all; who releases may write them."""
    write = "echo x > /srv/verified/x && rm /srv/verified/x"
    assert stack.inside(stack.container("keeper"), "sh", "-c", write).status == 0
    assert "Read-only file system" in stack.inside(stack.container("torchserve"), "sh", "-c", write).output
    trains = stack.run("run", "--rm", "--entrypoint", "sh", "train", "-c", f"cat /proc/mounts; {write}", check=False)
    assert "/srv/model_store" in trains.output
    assert " /srv/verified " not in trains.output
    assert "Read-only file system" in trains.output


def test_the_history_key_is_seen_by_those_alone_who_hash_with_it(stack: Compose) -> None:
    """Redis' container above all has it neither in a file nor in its environment."""
    key = stack.inside(stack.container("gateway"), "cat", "/run/history/key").output.strip()
    assert len(key) == 64
    poll = f"grep -rslF {key} /run /srv /data /tmp; env | grep -cF {key}"
    seen = {service: stack.inside(stack.container(service), "sh", "-c", poll).output.split() for service in SERVICES}
    assert seen == {each: ["/run/history/key", "0"] if each in KNOW_THE_HISTORY_KEY else ["0"] for each in SERVICES}
