"""What the first service of docker-compose.yml makes of its volumes."""

import subprocess
from pathlib import Path

PREPARE = Path(__file__).parents[2] / "deploy" / "compose" / "prepare.sh"
VOLUMES = ("model_store", "verified", "var", "redis-data", "redis-secrets", "history-key")


def prepared(directory: Path) -> Path:
    """The directory with the volumes in it, which are as an image makes them, once it has run."""
    for name in VOLUMES:
        (directory / name).mkdir(mode=0o755, parents=True)
    subprocess.run(["sh", "-c", PREPARE.read_text().replace("/srv/", f"{directory}/")], check=True)
    return directory
