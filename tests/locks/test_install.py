"""What uv is told of pip's configuration, and what happens without uv."""

import subprocess
from pathlib import Path

import pytest

from locks import install

CONFIG = """\
:env:.find-links='/wheels'
:env:.disable-pip-version-check='1'
global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'
global.find-links='/old'
global.index-url='https://c.example/simple?a=b'
install.find-links='/newer'
freeze.find-links='/other'
"""


def test_uv_asks_where_pip_would() -> None:
    """Every index and directory, with the environment before the section of `install`, and that before `global`."""
    assert install.uv_environment(CONFIG) == {
        "UV_FIND_LINKS": "/wheels",
        "UV_EXTRA_INDEX_URL": "https://a.example/simple https://b.example/simple",
        "UV_INDEX_URL": "https://c.example/simple?a=b",
    }


def test_several_directories_of_wheels_are_told_as_uv_reads_them() -> None:
    """Pip separates them by white space, uv by commas."""
    assert install.uv_environment("global.find-links='/a /b'") == {"UV_FIND_LINKS": "/a,/b"}


@pytest.mark.parametrize(("uv", "programs"), [(0, ["uv"]), (1, ["uv", "pip"]), (None, ["pip"])])
def test_pip_installs_where_uv_does_not(
    uv: int | None, programs: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Uv alone where it succeeds; pip where uv fails or is not installed, and its status counts."""
    called = []

    def call(command: list[object], **_: object) -> int:
        called.append("uv" if command[0] == install.UV else "pip")
        assert command[-2:] == ["-r", "a.txt"]
        return uv or 0 if called[-1] == "uv" else 0

    monkeypatch.setattr(install, "UV", tmp_path / "uv")
    if uv is not None:
        install.UV.touch()
    monkeypatch.setattr(subprocess, "check_output", lambda *_, **__: CONFIG)
    monkeypatch.setattr(subprocess, "call", call)
    assert install.install(["-r", "a.txt"]) == 0
    assert called == programs
