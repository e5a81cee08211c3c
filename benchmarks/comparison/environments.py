"""An environment for each peer, made by uv from a hashed lock, so that no peer's packages meet those of another.

torch comes from the same hashed wheels as the project's own: a CPU build, from a directory of wheels if pip's
configuration names one, else from PyTorch's index.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

from locks.install import PIP, UV, uv_environment

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "benchmarks" / "peers" / "locks"
FOLDER = ROOT / ".venv-peers"
TORCH_LOCK = ROOT / "locks" / "torch-cpu.txt"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
INSTALL_SECONDS = 900


class NotInstalledError(Exception):
    """A peer's environment that could not be made; says what the installer reason."""


def python(name: str) -> Path:
    """The interpreter of a peer's environment, whether it is there or not."""
    return FOLDER / name / "bin" / "python"


def is_installed(name: str) -> bool:
    """Whether the environment is there, made of the lock as it is now."""
    stamp = FOLDER / name / ".installed"
    return stamp.exists() and stamp.read_bytes() == _lock(name).read_bytes()


def install(name: str) -> Path:
    """The interpreter of a peer's environment, which is made where it is missing or of another lock.

    Raises:
        NotInstalledError: it cannot be made.
    """
    if not is_installed(name):
        venv.create(FOLDER / name, clear=True, with_pip=not UV.exists())
        _install(name, "--requirement", str(TORCH_LOCK), either=(["--no-index"], ["--index-url", TORCH_INDEX]))
        _install(name, "--requirement", str(_lock(name)), either=([],))
        (FOLDER / name / ".installed").write_bytes(_lock(name).read_bytes())
    return python(name)


def _lock(name: str) -> Path:
    return LOCKS / f"{name}.txt"


def _install(name: str, *arguments: str, either: tuple[list[str], ...]) -> None:
    """Installs by the first of several ways that works.

    Raises:
        NotInstalledError: none does.
    """
    reason = ""
    for way in either:
        command = [*_installer(name), "--no-deps", "--require-hashes", *arguments, *way]
        try:
            done = subprocess.run(
                command, env=_environment(), capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = type(error).__name__
            continue
        if done.returncode == 0:
            return
        reason = " ".join(done.stderr.split())[-300:]
    raise NotInstalledError(reason)


def _installer(name: str) -> list[str]:
    if UV.exists():
        return [
            str(UV),
            "pip",
            "install",
            "--quiet",
            "--index-strategy",
            "unsafe-best-match",
            "--python",
            str(python(name)),
        ]
    return [str(python(name)), "-m", "pip", "install", "--quiet"]


def _environment() -> dict[str, str]:
    options = subprocess.check_output([*PIP, "config", "list"], text=True)
    return uv_environment(options) | os.environ


if __name__ == "__main__":
    for each in sys.argv[1:]:
        install(each)
