"""The bills of materials: complete, valid, and of what is there."""

import json
import platform
import subprocess
import sys
from typing import Any

import pytest

from locks import licences, sbom
from locks.pins import IMAGES, of_image

POLICY = licences.read_policy()
DEBIAN = """debian-12
base-files\t12.4+deb12u15\tamd64\tbase-files
openjdk-17-jre-headless\t17.0.19+10-1~deb12u1\tamd64\topenjdk-17
"""


def written(image: str) -> dict[str, Any]:
    """The bill of an image from its locks, as it would be written."""
    bill: dict[str, Any] = json.loads(sbom.text_of(sbom.from_locks(image, POLICY)))
    return bill


def by_name(bill: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The components of a bill."""
    return {one["name"]: one for one in bill["components"]}


@pytest.mark.parametrize("image", IMAGES)
def test_a_bill_has_each_package_with_its_hashes_and_licence(image: str) -> None:
    """What pip would admit into an image is in its bill, and nothing else; the bill is valid CycloneDX."""
    bill = written(image)
    output = {
        one["name"]: (one["version"], {entry["content"] for entry in one["externalReferences"][0]["hashes"]})
        for one in bill["components"]
    }
    assert output == {pin.name: (pin.version, set(pin.hashes)) for pin in of_image(image)}
    assert all(one["licenses"][0]["expression"] for one in bill["components"])
    assert bill["metadata"]["component"]["name"] == f"fraud-{image}"


def test_only_images_for_gpus_have_cuda() -> None:
    """The bill of an image for processors names none of the packages for GPUs."""
    assert "nvidia-cublas" not in by_name(written("torchserve"))
    assert "nvidia-cublas" in by_name(written("torchserve-cuda"))


def asked(image: str, *packages: tuple[str, str]) -> dict[str, dict[str, Any]]:
    """The bill of an image that has these Python packages."""
    python = json.dumps({"python": "3.11.16", "packages": packages})
    return by_name(json.loads(sbom.text_of(sbom.from_image(image, python, DEBIAN, POLICY))))


def test_a_bill_of_an_image_is_of_what_is_in_it() -> None:
    """Asked for, an image tells its Python, the packages of it and Debian's; what no lock knows is marked."""
    bill = asked("torchserve", ("Fraud_Detection_API", "1.0.0"), ("torch", "2.13.0+cpu"), ("Stowaway", "6.6.6"))
    assert bill.keys() == {"python", "torch", "stowaway", "base-files", "openjdk-17-jre-headless"}
    assert bill["torch"]["externalReferences"][0]["hashes"]
    assert bill["stowaway"]["properties"][0]["value"] == "not in the lock of this image"
    assert bill["base-files"]["purl"].startswith(
        "pkg:deb/debian/base-files@12.4%2Bdeb12u15?arch=amd64&distro=debian-12"
    )


def test_another_version_than_the_lock_has_is_marked() -> None:
    """A package that was changed after the build does not get the hashes of the lock."""
    bill = asked("gateway", ("numpy", "1.0"))
    assert "externalReferences" not in bill["numpy"]
    assert bill["numpy"]["properties"]


def test_an_environment_tells_its_packages() -> None:
    """The program that is run inside an image tells the version of Python and what is installed there."""
    output = json.loads(subprocess.run([sys.executable, "-c", sbom.ASK_PYTHON], capture_output=True, check=True).stdout)
    assert output["python"] == platform.python_version()
    assert ["pytest", pytest.__version__] in output["packages"]


def test_without_docker_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Images cannot be asked without Docker: one line, and no bill that only looks like one."""
    monkeypatch.setenv("PATH", "")
    assert sbom.main(["--images"]) == 1
    assert capsys.readouterr().err == "The bills of materials are not written: there is no `docker` on this machine\n"
