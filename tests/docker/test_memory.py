"""Memory in the containers, in the worst mix that docs/runbook.md names: all stay under their limits, none is ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.compose import Compose, wait_for
from tests.docker.conftest import Measured
from tests.gateway import crowd
from tests.gateway.crowd import MEGABYTE, Drippers

LIMIT = 1 << 30
FILE_BYTES = 9_900_000
FIRST_BYTES = 160_000
"""Of a body that hangs: the entry passes on none of which fewer than 80,000 are there."""
HANGING = 180
"""Bodies: the entry takes 200 connections of one address."""
HEADER = "transaction_id,timestamp,customer_id,terminal_id,amount,merchant_category,channel,country"
PEAKS = ("/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory/memory.max_usage_in_bytes")
"""Where a container finds the most memory that it ever had, by the kernel's second and first kind of control groups."""


@pytest.fixture
def patient(stack: Compose, tmp_path: Path) -> Iterator[Compose]:
    """The stack with a new gateway, which gives up nothing before it has taken the memory that it would take."""
    file = tmp_path / "settings"
    file.write_text("SLOT_SECONDS=60\n")
    for settings in ({"DEADLINE_SECONDS": "60", "GATEWAY_SETTINGS": str(file)}, {}):
        stack.run("up", "-d", "--no-deps", "gateway", settings=settings)
        wait_for(stack.is_healthy, 120, lambda: stack.run("ps").output)
        if settings:
            yield stack


def shortest(size: int) -> bytes:
    """A file of about so many bytes of the shortest rows that the default model takes."""
    rows = [f"{number:x},2026-05-01,{number % 16:x},{number % 16:x},1,,,\n" for number in range(size // 27)]
    return f"{HEADER}\n{''.join(rows)}".encode()


def peak(stack: Compose, service: str) -> int:
    """The most bytes that its container had since it was made, what the kernel keeps for its files included."""
    found = stack.inside(stack.container(service), "sh", "-c", f"cat {PEAKS[0]} 2>/dev/null || cat {PEAKS[1]}").output
    return int(found)


def life(stack: Compose, service: str) -> tuple[str, int, bool]:
    """When its container was started, how often again, and whether it was ended for its memory."""
    found = stack.inspect(stack.container(service))
    return found["State"]["StartedAt"], found["RestartCount"], found["State"]["OOMKilled"]


def test_the_worst_mix_stays_under_the_limits_of_the_containers(patient: Compose, measured: Measured) -> None:
    """Four batches of 20 MB, four files of 10 MB and bodies that hang, all by the published port."""
    before = {service: life(patient, service) for service in ("gateway", "entry")}
    body = shortest(FILE_BYTES)
    with Drippers(patient.url, HANGING, first=FIRST_BYTES, key=patient.key):
        statuses = crowd.loaded(patient.url, 4, 4, body, patient.key)
    peaks = {service: peak(patient, service) for service in before}
    measured["statuses of the worst mix"] = dict(statuses)
    measured["MB that gateway and entry had at most"] = [round(each / MEGABYTE) for each in peaks.values()]
    assert {service: life(patient, service) for service in before} == before
    assert statuses.keys() <= {200, 503, 504}
    assert statuses[200]
    assert patient.inspect(patient.container("gateway"))["HostConfig"]["Memory"] == LIMIT
    assert peaks["gateway"] < LIMIT
    wait_for(lambda: patient.upload().is_success, 60, lambda: patient.run("ps").output)
