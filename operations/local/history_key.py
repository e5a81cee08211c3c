"""The secret that ids and entities are hashed with in Redis, made at the first start and kept.

Without it what Redis remembers is unreachable, as if that disk were lost: docs/backup.md says how to keep a copy.
"""

import secrets
from pathlib import Path

from operations.errors import OperationsError
from operations.files import durable

BYTES = 32


def load_or_create(file: Path) -> str:
    """What the file holds; where there is none, a new secret, which is in the file when this returns.

    Raises:
        OperationsError: the file is empty: a new secret would hide what Redis remembers.
    """
    if not file.exists():
        durable.write(file, f"{secrets.token_hex(BYTES)}\n".encode(), 0o600)
    text = file.read_text(encoding="utf-8").strip()
    if not text:
        raise OperationsError(f"{file} is empty: put the secret back from your copy, or delete it and begin anew")
    return text
