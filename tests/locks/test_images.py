"""The base images: one list by tag, one by digest, and everything else agrees with them."""

import re
from pathlib import Path

import pytest

from locks.pins import LOCKS

ROOT = LOCKS.parent
FILES = [
    *ROOT.glob("Dockerfile*"),
    *ROOT.glob("*compose*.yml"),
    *(ROOT / "deploy").rglob("*.yaml"),
    *(ROOT / "deploy").rglob("Dockerfile*"),
]
"""Whatever starts from an image of somebody else."""


def variables(name: str) -> dict[str, str]:
    """The variables of a file for `docker compose --env-file`."""
    lines = (LOCKS / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


TAGS = variables("images.env")
REPOSITORIES = sorted(tag.split(":")[0] for tag in TAGS.values())


def test_both_lists_name_the_same_tags() -> None:
    """The list by digest has the variables and tags of the other, and nothing but digests more."""
    digests = variables("images.digests.env")
    assert {name: image.split("@")[0] for name, image in digests.items()} == TAGS
    assert all(re.fullmatch(r"[^@]+(@sha256:[0-9a-f]{64})?", image) for image in digests.values())


@pytest.mark.parametrize("variable", ["PYTHON_IMAGE", "CUDA_IMAGE", "REDIS_IMAGE"])
def test_what_is_built_from_can_be_had_by_digest(variable: str) -> None:
    """The images that ours are made of, and the one that holds data, are known by digest."""
    assert "@sha256:" in variables("images.digests.env")[variable]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_file_names_another_tag(file: Path) -> None:
    """A Dockerfile, the compose file and the manifests have the tags of locks/images.env, where they name one."""
    named = re.findall(rf"(?<![\w/.-])((?:{'|'.join(REPOSITORIES)}):\w[\w.-]*)", file.read_text())
    assert set(named) <= set(TAGS.values())
