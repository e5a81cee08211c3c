"""The limits of containers follow from the gateway's settings; tests/gateway/test_crowd.py measures what it takes."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from gateway.settings import BASE_BYTES, GatewaySettings

ROOT = Path(__file__).parents[2]
UNITS = {"g": 1 << 30, "Gi": 1 << 30, "m": 1 << 20, "Mi": 1 << 20}
NEEDED = GatewaySettings(api_key="k").memory_bytes + BASE_BYTES


def size(text: str) -> int:
    """Bytes of a limit."""
    found = re.fullmatch(r"(\d+)(\w+)", text)
    assert found
    return int(found[1]) * UNITS[found[2]]


def compose() -> str:
    """The limit in docker-compose.yml."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return str(services["gateway"]["mem_limit"]).removeprefix("${GATEWAY_MEMORY:-").removesuffix("}")


def kubernetes() -> str:
    """The limit in the Deployment."""
    documents = yaml.safe_load_all((ROOT / "deploy/kubernetes/base/gateway.yaml").read_text())
    deployment = next(each for each in documents if each["kind"] == "Deployment")
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"])


def render() -> str:
    """The memory of the plan in render.yaml."""
    services = yaml.safe_load((ROOT / "render.yaml").read_text())["services"]
    plan = next(each for each in services if each["name"] == "fraud-gateway")["plan"]
    return str(plan.partition("-")[2])


@pytest.mark.parametrize("limit", [compose, kubernetes, render], ids=lambda limit: limit.__name__)
def test_a_gateway_has_the_memory_that_its_settings_allow_it(limit: Callable[[], str]) -> None:
    """What requests may take together, and what the gateway takes beside it."""
    assert size(limit()) >= NEEDED
