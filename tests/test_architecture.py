"""The rules that hold the parts apart, executed."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "contract": set[str](),
    "environment": set[str](),
    "handlers": {"contract"},
    "history": {"contract", "releases"},
    "releases": {"contract"},
    "gateway": {"contract", "environment", "history", "releases"},
    "training": {"contract", "history", "releases"},
    "operations": {"contract", "environment", "history", "releases", "training"},
}
"""Our packages, and which of the others each may import."""
OPERATIONS = {
    "files": set[str](),
    "text": set[str](),
    "network": set[str](),
    "processes": set[str](),
    "store": {"files", "text"},
    "torchserve": {"files", "network"},
    "backups": {"files", "store"},
    "history": {"files", "network", "store"},
    "rollout": {"files", "text", "network", "store", "torchserve"},
    "retraining": {"files", "text", "network", "store", "history", "rollout"},
    "jobs": {"files", "text", "network", "processes", "store", "backups", "rollout", "retraining", "torchserve"},
    "keeper": {"files", "network", "processes", "store", "torchserve", "history", "rollout", "jobs"},
    "local": {"files", "network", "processes", "store", "torchserve", "history", "rollout", "keeper"},
    "commands": {"files", "network", "text", "store", "backups", "history", "rollout", "retraining", "jobs"},
}
"""The groups of operations, and which of the others each may import."""
GATEWAY = {
    "http": set[str](),
    "redis": set[str](),
    "processes": set[str](),
    "models": {"http"},
    "history": {"http", "redis", "models"},
    "requests": {"http", "history", "models"},
    "labels": {"http", "redis", "requests", "models"},
    "trial": {"http", "models", "requests"},
    "api": {"http", "processes", "models", "history", "requests", "labels"},
}
"""The rooms of the gateway, and which of the others each may import."""
NOT_IN_THE_GATEWAY = {"torch", "pandas", "sklearn", "ts", "model_archiver"}
DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
SECTIONS = re.findall(r"^## .+$", (ROOT / "docs" / "adr" / "template.md").read_text(), re.MULTILINE)
DECISION = re.compile(r"\[ADR\s+(\d+)\]\((?:docs/)?(?:adr/)?(\d{4}-[\w-]+\.md)\)")
VAGUE = {"utils", "util", "helpers", "helper", "manager", "common", "base", "misc"}


def imports(file: Path) -> set[str]:
    """The top-level packages that a file imports, wherever in it."""
    found = set[str]()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def files(part: str) -> list[Path]:
    """The source files of a part."""
    return sorted((ROOT / part).rglob("*.py"))


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_follow_the_rule(part: str) -> None:
    """No part imports another one but as ARCHITECTURE.md has it."""
    for file in files(part):
        assert imports(file) & MAY_IMPORT.keys() <= MAY_IMPORT[part] | {part}, file


@pytest.mark.parametrize("part", ["contract", "history", "releases"])
def test_what_all_share_is_pure(part: str) -> None:
    """It needs numpy and the standard library beside our own: no client of Redis, no framework."""
    for file in files(part):
        assert imports(file) <= MAY_IMPORT[part] | {part, "numpy"} | sys.stdlib_module_names, file


def test_the_gateway_needs_no_torch() -> None:
    """Nothing in the gateway imports what only training and the model server install."""
    for file in files("gateway"):
        assert not imports(file) & NOT_IN_THE_GATEWAY, file


def test_no_module_has_a_vague_name() -> None:
    """A module is named for what it does."""
    names = {file.stem for part in MAY_IMPORT for file in files(part)}
    assert not names & VAGUE


def test_nothing_is_pickled() -> None:
    """No part imports pickle or what is made of it."""
    for part in MAY_IMPORT:
        for file in files(part):
            assert not imports(file) & {"pickle", "joblib", "dill", "cloudpickle", "shelve"}, file


def test_every_module_has_no_cycle() -> None:
    """Inside each part the modules import each other in one direction only."""
    for part in MAY_IMPORT:
        graph = {_dotted(file): _siblings(file, part) for file in files(part)}
        while graph:
            free = [name for name, needs in graph.items() if not needs & graph.keys()]
            assert free, f"a circle among {sorted(graph)}"
            for name in free:
                del graph[name]


@pytest.mark.parametrize("group", OPERATIONS)
def test_operations_build_on_each_other_in_one_direction(group: str) -> None:
    """The groups of operations import each other as ARCHITECTURE.md has it; the command line may import them all."""
    for file in files(f"operations/{group}"):
        groups = {name.split(".")[1] for name in _siblings(file, "operations")} & OPERATIONS.keys()
        assert groups <= OPERATIONS[group] | {group}, file


@pytest.mark.parametrize("room", GATEWAY)
def test_rooms_of_the_gateway_build_on_each_other_in_one_direction(room: str) -> None:
    """The rooms of the gateway import each other as ARCHITECTURE.md has it; only what composes them stands above."""
    for file in files(f"gateway/{room}"):
        rooms = {name.split(".")[1] for name in _siblings(file, "gateway")} & GATEWAY.keys()
        assert rooms <= GATEWAY[room] | {room}, file


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_every_package_says_what_belongs_there(part: str) -> None:
    """The docstring of a package says what stands in it, and what does not: that stands somewhere else."""
    packages = [file for file in files(part) if file.name == "__init__.py"]
    assert packages
    assert [
        file for file in packages if "Not here:" not in (ast.get_docstring(ast.parse(file.read_text())) or "")
    ] == []


def test_decisions_are_numbered_once() -> None:
    """Each record of a decision has the number of its file and a status, and numbers have no gap."""
    texts = [file.read_text() for file in DECISIONS]
    assert [int(file.name[:4]) for file in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    for number, text in enumerate(texts, 1):
        assert re.match(rf"# {number}\. .+\n\n\*\*Status:\*\* accepted\.", text), text[:80]


@pytest.mark.parametrize("file", DECISIONS, ids=lambda file: file.name)
def test_decisions_have_the_sections_of_the_template(file: Path) -> None:
    """Context and decision first; of the others those that there is something to say about, in the template's order."""
    sections = re.findall(r"^## .+$", file.read_text(), re.MULTILINE)
    assert sections[:2] == SECTIONS[:2]
    assert sections == [section for section in SECTIONS if section in sections]


def test_decisions_are_referred_to_by_their_numbers() -> None:
    """Each link to a record says the number of the record that it leads to."""
    pages = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    links = [link for page in pages for link in DECISION.findall(page.read_text())]
    named = {file.name for file in DECISIONS}
    assert links
    assert [(number, name) for number, name in links if name not in named or int(name[:4]) != int(number)] == []


def _docstring(file: Path) -> str | None:
    return ast.get_docstring(ast.parse(file.read_text()))


def _dotted(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _siblings(file: Path, part: str) -> set[str]:
    found = set[str]()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == part:
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.startswith(f"{part}.")}
    return found - {part}
