"""`make sbom`: the bill of materials of each image, as CycloneDX JSON in build/sbom/.

From the locks it says what an image is built from, with the hashes that pip demands. With --images it asks the built
images themselves, through Docker, and says what is in them: the packages of the virtual environment, and Debian's.
"""

import argparse
import json
import subprocess
import sys
import tomllib

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from locks.licences import LicencePolicy, licence, read_policy
from locks.pins import IMAGES, LOCKS, LockError, Pin, of_image, of_lock

ROOT = LOCKS.parent
OUTPUT = ROOT / "build" / "sbom"
OURS = "fraud-detection-api"
BUILT = {"gateway": "fraud-gateway", "torchserve": "fraud-torchserve", "operations": "fraud-operations"}
"""The names that the images have once they are built."""

ASK_PYTHON = """
import importlib.metadata, json, platform, sys, sysconfig
base = sysconfig.get_paths(vars={"base": sys.base_prefix, "platbase": sys.base_prefix})["purelib"]
found = [*importlib.metadata.distributions(), *importlib.metadata.distributions(path=[base])]
print(json.dumps({"python": platform.python_version(), "packages": [[one.name, one.version] for one in found]}))
"""
"""Prints the version of Python and the packages of the virtual environment and of the Python that it was made with."""
ASK_DEBIAN = (
    '. /etc/os-release; echo "$ID-$VERSION_ID";'
    r" dpkg-query --show --showformat '${Package}\t${Version}\t${Architecture}\t${source:Package}\n'"
)


class ImageError(Exception):
    """An image could not be asked what is in it; the text says why."""


def from_locks(image: str, policy: LicencePolicy) -> Bom:
    """The bill of materials of an image as its locks have it."""
    return _bom(image, [_from_lock(pin, licence(pin.name, policy)) for pin in of_image(image)])


def from_image(image: str, python: str, debian: str, policy: LicencePolicy) -> Bom:
    """The bill of materials of an image as it is.

    Args:
        image: which image it is.
        python: what ASK_PYTHON printed there.
        debian: what ASK_DEBIAN printed there.
        policy: says the licences that metadata leaves open.
    """
    pins = {pin.name: pin for lock in IMAGES[f"{image}-cuda" if image != "gateway" else image] for pin in of_lock(lock)}
    inventory = json.loads(python)
    installed = sorted({(canonicalize_name(name), version) for name, version in inventory["packages"]})
    packages = [_installed(name, version, pins, policy) for name, version in installed if name != OURS]
    return _bom(
        image, [_component(PackageURL("generic", None, "python", inventory["python"])), *packages, *_debian(debian)]
    )


def text_of(bom: Bom) -> str:
    """The JSON of a bill of materials.

    Raises:
        ValueError: it is not what the schema of CycloneDX 1.6 asks for.
    """
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault:
        raise ValueError(f"not CycloneDX 1.6: {fault!r}"[:300])
    return text


def ask_image(tag: str) -> tuple[str, str]:
    """Ask a built image what it has: the answers to ASK_PYTHON and ASK_DEBIAN.

    Raises:
        ImageError: Docker, the image, or a program in it is not there.
    """
    return _run(tag, "python", "-c", ASK_PYTHON), _run(tag, "sh", "-c", ASK_DEBIAN)


def main(arguments: list[str] | None = None) -> int:
    """Write the bills of materials.

    Returns:
        0 if all were written, 1 otherwise.
    """
    parser = argparse.ArgumentParser(prog="make sbom", description="Write build/sbom/*.cdx.json.")
    parser.add_argument("--images", action="store_true", help="of the built images, instead of from the locks")
    try:
        _write(parser.parse_args(arguments).images)
    except (ImageError, LockError) as error:
        print(f"The bills of materials are not written: {error}", file=sys.stderr)
        return 1
    return 0


def _write(images: bool) -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    policy = read_policy()
    for image in BUILT if images else IMAGES:
        bom = from_image(image, *ask_image(BUILT[image]), policy) if images else from_locks(image, policy)
        file = OUTPUT / f"{image}{'.image' if images else ''}.cdx.json"
        file.write_text(text_of(bom), encoding="utf-8")
        print(f"{file.relative_to(ROOT)}: {len(bom.components)} packages")


def _bom(image: str, components: list[Component]) -> Bom:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    bom = Bom()
    bom.metadata.component = Component(
        name=f"fraud-{image}", version=version, type=ComponentType.CONTAINER, bom_ref=f"fraud-{image}"
    )
    bom.components.update(components)
    bom.register_dependency(bom.metadata.component, components)
    return bom


def _from_lock(pin: Pin, terms: str) -> Component:
    """A package with the hashes of its lock: each is of one file, and what is installed is one of those files."""
    files = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(f"https://pypi.org/project/{pin.name}/{pin.version}/"),
        comment="the hashes of the files that the lock admits",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for one in pin.hashes],
    )
    component = _component(PackageURL("pypi", None, pin.name, pin.version))
    component.licenses.add(LicenseExpression(terms))
    component.external_references.add(files)
    return component


def _installed(name: str, version: str, pins: dict[str, Pin], policy: LicencePolicy) -> Component:
    pin = pins.get(name)
    if pin and pin.version == version.split("+", maxsplit=1)[0]:  # The CPU build of torch calls itself 2.13.0+cpu.
        return _from_lock(pin, licence(name, policy))
    component = _component(PackageURL("pypi", None, name, version))
    component.properties.add(Property(name="fraud:lock", value="not in the lock of this image"))
    return component


def _component(purl: PackageURL) -> Component:
    ref = purl.to_string()
    return Component(name=purl.name, version=purl.version, type=ComponentType.LIBRARY, purl=purl, bom_ref=ref)


def _debian(answer: str) -> list[Component]:
    release, *lines = answer.splitlines()
    return [_deb(release, *line.split("\t")) for line in lines]


def _deb(release: str, name: str, version: str, architecture: str, source: str) -> Component:
    qualifiers = {"arch": architecture, "distro": release, "upstream": source}
    return _component(PackageURL("deb", release.split("-", maxsplit=1)[0], name, version, qualifiers))


def _run(tag: str, program: str, *arguments: str) -> str:
    docker = ("docker", "run", "--rm", "--pull", "never", "--network", "none", "--entrypoint", program)
    try:
        done = subprocess.run([*docker, tag, *arguments], capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise ImageError("there is no `docker` on this machine") from error
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.splitlines() or ["it said nothing"])[0]
        raise ImageError(f"image {tag} could not be asked: {reason}. Build it first.") from error
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
