"""The lock files as data: which version of which package, and for which image."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

LOCKS = Path(__file__).parent
SERVER = ("torch", "torchserve")
OPERATIONS = ("torch", "operations")
IMAGES = {
    "gateway": ("gateway",),
    "torchserve": SERVER,
    "operations": OPERATIONS,
    "torchserve-cuda": (*SERVER, "torch-cuda"),
    "operations-cuda": (*OPERATIONS, "torch-cuda"),
}
"""The locks that each image is installed from; with -cuda where torch is PyPI's own wheel, for GPUs."""

IN_THE_IMAGE = {
    "implementation_name": "cpython",
    "implementation_version": "3.11.16",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "python_full_version": "3.11.16",
    "python_version": "3.11",
    "sys_platform": "linux",
}
"""What the markers of a lock are asked about: the image, not the machine that runs this."""
VERSION = re.compile(r"==([^*,]+)")
SHA256 = re.compile("[0-9a-f]{64}")


class LockError(Exception):
    """A lock says less than which files may be installed."""


@dataclass(frozen=True)
class Pin:
    """One package of a lock: its only version, where it is installed, and the SHA-256 of each file that may be."""

    name: str
    version: str
    marker: Marker | None
    hashes: tuple[str, ...]

    def is_in_the_image(self) -> bool:
        """Whether a Linux container with Python 3.11 installs it."""
        return self.marker is None or self.marker.evaluate(IN_THE_IMAGE)


def every_lock() -> list[Path]:
    """The lock files, all of them: nothing lists them by hand, so none can be left out."""
    return sorted(LOCKS.glob("*.txt"))


def read(lock: Path) -> list[Pin]:
    """The packages of a lock, in its order.

    Raises:
        LockError: a line is not one version of one package with its hashes.
    """
    return [_pin(line, lock) for line in _lines(lock.read_text(encoding="utf-8"))]


def of_lock(name: str) -> list[Pin]:
    """The packages of the lock with this name."""
    return read(LOCKS / f"{name}.txt")


def of_image(image: str) -> list[Pin]:
    """The packages that an image is installed from, by name."""
    pins = {pin.name: pin for lock in IMAGES[image] for pin in of_lock(lock) if pin.is_in_the_image()}
    return [pins[name] for name in sorted(pins)]


def _lines(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line


def _pin(line: str, lock: Path) -> Pin:
    requirement_text, *hashes = (one.strip() for one in line.split("--hash=sha256:"))
    try:
        requirement = Requirement(requirement_text)
    except InvalidRequirement as error:
        raise LockError(f"{lock.name}: not a package and its version: {requirement_text}") from error
    version = VERSION.fullmatch(str(requirement.specifier))
    if not version or not hashes or not all(SHA256.fullmatch(one) for one in hashes):
        raise LockError(f"{lock.name}: {requirement.name} has not one version and its hashes. Run `make lock`.")
    # +cpu names a build of a release, and PyPI knows the release alone.
    return Pin(canonicalize_name(requirement.name), Version(version[1]).public, requirement.marker, tuple(hashes))
