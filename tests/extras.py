"""What pyproject.toml says of optional packages."""

import tomllib
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def project() -> dict[str, Any]:
    """Its table of the project."""
    found: dict[str, Any] = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    return found


def to_install(extra: str) -> str:
    """What a message says behind `pip install`: requirements, never the project's own name, which is anyone's."""
    requirements: list[str] = project()["optional-dependencies"][extra]
    assert not any(each.startswith(project()["name"]) for each in requirements)
    return " ".join(f"'{each}'" for each in requirements)
