"""What is known of the system that runs: the addresses that `fraud up` writes down, and above all where Redis is."""

import json
from collections.abc import Mapping

from history.keyed_hash import HistoryKey
from operations.errors import OperationsError
from operations.settings import StatePaths, history_key_of, redis_url


def stack_endpoints(paths: StatePaths, env: Mapping[str, str]) -> Mapping[str, object]:
    """What the stack that runs here has written; nothing where none does, or MANAGEMENT_URL names another system."""
    if env.get("MANAGEMENT_URL"):
        return {}
    try:
        fields = json.loads(paths.stack.read_bytes())
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}


def find_redis_url(paths: StatePaths, env: Mapping[str, str]) -> str | None:
    """The address of Redis: REDIS_URL, or that of the stack that runs here; None where there is neither.

    It may hold a password: no message shows it.

    Raises:
        OperationsError: REDIS_URL is no address of Redis.
    """
    value = redis_url(env) or stack_endpoints(paths, env).get("redis_url")
    return str(value) if value else None


def require_redis_url(paths: StatePaths, env: Mapping[str, str]) -> str:
    """The address of Redis, for what cannot run without it.

    Raises:
        OperationsError: REDIS_URL is no address of Redis, or there is none.
    """
    value = find_redis_url(paths, env)
    if value is None:
        raise OperationsError("no Redis is known here: start `fraud up`, or set REDIS_URL")
    return value


def history_key(paths: StatePaths, env: Mapping[str, str]) -> HistoryKey:
    """What ids and entities are hashed with in that Redis.

    Raises:
        OperationsError: as :func:`history_secret`, or it is no such key.
    """
    return history_key_of(history_secret(paths, env))


def history_secret(paths: StatePaths, env: Mapping[str, str]) -> str:
    """The secret that makes that key: HISTORY_KEY, or what `fraud up` made here.

    Raises:
        OperationsError: there is neither.
    """
    value = env.get("HISTORY_KEY")
    if not value and not env.get("MANAGEMENT_URL") and paths.history_key.exists():
        value = paths.history_key.read_text(encoding="utf-8")
    if not value:
        raise OperationsError("HISTORY_KEY is not set: without it nothing is found in Redis' history")
    return value.strip()
