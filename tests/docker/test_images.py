"""What the images are made of, and what a container may do."""

import pytest

from tests.docker.compose import Compose, docker
from tests.docker.conftest import Measured

OURS = ("fraud-gateway", "fraud-torchserve", "fraud-operations", "fraud-entry")
BASES = {"fraud-gateway": "python:3.11-slim-bookworm", "fraud-entry": "debian:bookworm-slim"}
SERVICES = ("entry", "gateway", "torchserve", "keeper", "schedule", "redis")


def megabytes(image: str) -> float:
    """The size of an image as Docker states it."""
    return int(docker("image", "inspect", "-f", "{{.Size}}", image)) / 1e6


def test_the_gateway_adds_little_to_its_base(stack: Compose, measured: Measured) -> None:
    """python:3.11-slim takes about 130 MB; the gateway adds less than 230, of which pyarrow is half."""
    for image in OURS:
        base = BASES.get(image, "python:3.11-slim-bookworm")
        measured[f"MB that {image} adds to {base}"] = round(megabytes(image) - megabytes(base))
    assert megabytes("fraud-gateway") - megabytes(BASES["fraud-gateway"]) < 230


@pytest.mark.parametrize("module", ["torch", "ts", "pandas", "sklearn", "operations", "training"])
def test_the_gateway_has_no_torch_and_no_release_code(stack: Compose, module: str) -> None:
    """Nothing of training, TorchServe or releases can be imported in the gateway's image."""
    found = stack.inside(stack.container("gateway"), "python", "-c", f"import {module}")
    assert "ModuleNotFoundError" in found.output


@pytest.mark.parametrize("program", ["java", "gcc", "cc", "make", "fraud"])
def test_the_gateway_has_no_java_and_no_compiler(stack: Compose, program: str) -> None:
    """The last stage holds no tool that it does not need."""
    assert stack.inside(stack.container("gateway"), "sh", "-c", f"command -v {program}").status != 0


def test_the_model_server_has_no_web_framework_and_no_release_command(stack: Compose) -> None:
    """TorchServe's image can neither run a gateway nor release a version."""
    for module in ("fastapi", "typer", "redis"):
        found = stack.inside(stack.container("torchserve"), "python", "-c", f"import {module}")
        assert "ModuleNotFoundError" in found.output


@pytest.mark.parametrize("service", SERVICES)
def test_nobody_is_root_or_may_become_it(stack: Compose, service: str) -> None:
    """Each container runs as 10001, has no capability, and can gain none."""
    container = stack.container(service)
    status = stack.inside(container, "sh", "-c", "cat /proc/1/status").output
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["10001"] * 4
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"].strip() == "1"


@pytest.mark.parametrize("service", SERVICES)
def test_the_root_cannot_be_written(stack: Compose, service: str) -> None:
    """Each container's own files are read-only; /tmp is in memory."""
    container = stack.container(service)
    assert "Read-only file system" in stack.inside(container, "sh", "-c", "echo x > /etc/x").output
    assert stack.inside(container, "sh", "-c", "echo x > /tmp/x && rm /tmp/x").status == 0


@pytest.mark.parametrize("service", ["gateway", "torchserve"])
def test_the_model_store_cannot_be_written_by_those_who_serve(stack: Compose, service: str) -> None:
    """Only who releases may write into the model store."""
    found = stack.inside(stack.container(service), "sh", "-c", "echo x > /srv/model_store/x")
    assert "Read-only file system" in found.output
    assert stack.inside(stack.container(service), "test", "-r", "/srv/model_store/release.json").status == 0


@pytest.mark.parametrize("service", SERVICES)
def test_memory_and_processes_are_bounded(stack: Compose, service: str) -> None:
    """A container that leaks takes down itself, not the machine."""
    limits = stack.inspect(stack.container(service))["HostConfig"]
    assert 0 < limits["Memory"] <= 6 * 2**30
    assert 0 < limits["PidsLimit"] <= 1024


def test_no_secret_stands_in_a_container_s_settings(stack: Compose) -> None:
    """Keys and passwords are files: whoever may inspect a container sees their paths alone."""
    for container in stack.listed():
        settings = str(stack.inspect(container)["Config"])
        assert stack.key not in settings
        assert "redis://" not in settings


def test_the_gateway_ends_with_code_0_when_told_to(stack: Compose) -> None:
    """SIGTERM reaches the gateway itself and not a shell around it: it ends by itself, well before it is killed."""
    gateway = stack.container("gateway")
    docker("stop", "-t", "20", gateway, timeout=30)
    state = stack.inspect(gateway)["State"]
    docker("start", gateway)
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
