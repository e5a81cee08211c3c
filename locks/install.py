"""`pip install ARGUMENTS` into the environment of this Python: by uv where it is installed, else by pip.

uv takes a fraction of pip's time and is asked the same: its indexes, directories of wheels, certificates and proxy are
those of pip's own configuration (`pip config list`). Where it fails, pip tries, and says what is wrong.

    .venv/bin/python locks/install.py --no-deps --require-hashes -r locks/local.txt
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
UV = Path(sys.executable).with_name("uv")
# Each file has its hash in a lock, so it does not matter which index it comes from: pip asks all of them, too.
UV_ARGUMENTS = ("pip", "install", "--quiet", "--python", sys.executable, "--index-strategy", "unsafe-best-match")
VARIABLES = {
    "index-url": "UV_INDEX_URL",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
}
"""An option of pip, and the variable by which uv takes it."""
SECTIONS = ("global", "install", ":env:")
"""Of pip's configuration; the later one wins."""


def uv_environment(pip_config: str) -> dict[str, str]:
    """The variables for uv that say what `pip config list` says, a line like `global.find-links='/wheels'` each."""
    options: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in pip_config.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.partition(".")
        if section in options:
            separator = "," if option == "find-links" else " "
            options[section] |= {option: separator.join(ast.literal_eval(value).split())}
    chosen = {option: value for section in SECTIONS for option, value in options[section].items()}
    return {VARIABLES[option]: value for option, value in chosen.items() if option in VARIABLES}


def install(arguments: list[str]) -> int:
    """Runs uv, and pip where uv is missing or fails; the exit status."""
    if UV.exists():
        environment = uv_environment(subprocess.check_output([*PIP, "config", "list"], text=True)) | os.environ
        if subprocess.call([UV, *UV_ARGUMENTS, *arguments], env=environment, stderr=subprocess.DEVNULL) == 0:
            return 0
    return subprocess.call([*PIP, "install", "--quiet", "--quiet", *arguments])


if __name__ == "__main__":
    sys.exit(install(sys.argv[1:]))
