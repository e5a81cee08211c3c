"""What the documents for people say of the tree is so."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_names import SOURCES, files, identifiers

ROOT = Path(__file__).parent.parent
PAGES = sorted(page for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "training").glob("*.md")])
GUIDES = ("ARCHITECTURE.md", "CONTRIBUTING.md", "docs/glossary.md")
"""The pages that lead through the code."""
WIDTH = 120


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """The lines of a page that can be wrapped, with their numbers: no code, no table, no heading."""
    fenced = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not line.lstrip().startswith(("|", "#", "![")) and not line.startswith("    "):
            yield number, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_prose_is_wrapped(page: Path) -> None:
    """Lines have at most 120 characters, unless one word has more."""
    long = [number for number, line in prose(page) if len(line) > WIDTH and " " in line.strip().lstrip("-> ")]
    assert long == []


@pytest.mark.parametrize("guide", GUIDES)
def test_each_path_that_a_guide_names_is_there(guide: str) -> None:
    """A file or folder of the tree that stands in a guide as code exists."""
    named = re.findall(
        rf"`((?:{'|'.join([*SOURCES, 'docs', 'tests', 'deploy'])})/[\w./-]*)`", (ROOT / guide).read_text()
    )
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_each_class_of_the_glossary_is_there() -> None:
    """A name in camel case that stands in the glossary as code is one of the source tree."""
    known = {name for file in files(*SOURCES) for name in identifiers(file)}
    named = re.findall(r"`([A-Z][a-z]+[A-Z]\w+)`", (ROOT / "docs" / "glossary.md").read_text())
    assert named
    assert [name for name in named if name not in known] == []
