"""Names are the field's own: one name has one meaning, and words that were retired do not come back."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = (
    "benchmarks", "contract", "deploy", "environment", "gateway", "handlers", "history", "locks", "operations",
    "releases", "training",
)  # fmt: skip
WORDS = frozenset(
    [
        "aside",
        "bout",
        "doubt",
        "doubted",
        "grace",
        "lanes",
        "leftovers",
        "mend",
        "muddled",
        "rests",
        "rival",
        "roads",
        "settling",
        "tether",
        "trying",
        "wish",
        "wished",
        "wishes",
    ]
)
"""Retired as a word of any identifier, whatever stands beside it."""
NAMES = frozenset(
    [
        "Alone",
        "Answered",
        "Archived",
        "Arrival",
        "Decided",
        "Exchange",
        "Fitted",
        "Found",
        "Gathered",
        "Guess",
        "Judged",
        "Keeper",
        "Kept",
        "Labelled",
        "Lanes",
        "Litter",
        "Live",
        "Once",
        "Opened",
        "Part",
        "Past",
        "Place",
        "Recall",
        "Roads",
        "Running",
        "Scored",
        "Side",
        "Standing",
        "Steps",
        "Taken",
        "Telling",
        "Terms",
        "Trying",
        "Wanted",
        "Wish",
        "look",
        "once",
        "remembered",
        "outside",
        "said",
        "told",
    ]
)
"""Retired as a whole identifier; the words may stand in others."""


def files(*parts: str) -> list[Path]:
    """The Python files of packages."""
    return sorted(file for part in parts for file in (ROOT / part).rglob("*.py"))


def identifiers(file: Path) -> Iterator[str]:
    """All names that a file gives or uses, and its own."""
    yield file.stem
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.alias(asname=str(name)) | ast.keyword(arg=str(name)):
                yield name


def words(identifier: str) -> set[str]:
    """The words of an identifier in snake or camel case, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)}


def test_no_class_name_stands_for_two_things() -> None:
    """Each class of the source tree has a name of its own."""
    found = defaultdict[str, list[str]](list)
    for file in files(*SOURCES):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(str(file.relative_to(ROOT)))
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


@pytest.mark.parametrize("part", [*SOURCES, "tests"])
def test_retired_words_are_in_no_identifier(part: str) -> None:
    """Neither as a word of an identifier nor as a whole one (docs/glossary.md has the words that stand for them)."""
    found = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in files(part)
        for name in identifiers(file)
        if name in NAMES or words(name) & WORDS
    }
    assert sorted(found) == []


def test_a_word_is_found_wherever_it_stands() -> None:
    """In snake case, camel case and capitals; a word that only contains it is another one."""
    assert words("_live_wishOf") & words("MOST_WISHES") == set()
    assert words("RedisWish") == {"redis", "wish"}
    assert words("WISH_OF") == {"wish", "of"}
    assert "rest" not in words("interest")
