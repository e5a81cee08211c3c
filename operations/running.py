"""What is known of the system that runs: the addresses that `fraud up` writes down, and above all where Redis is."""

import json
from collections.abc import Mapping

from operations.errors import OperationsError
from operations.settings import Layout, redis_url


def addresses(layout: Layout, outside: Mapping[str, str]) -> Mapping[str, object]:
    """What the stack that runs here has written; nothing where none does, or MANAGEMENT_URL names another system."""
    if outside.get("MANAGEMENT_URL"):
        return {}
    try:
        fields = json.loads(layout.stack.read_bytes())
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}


def redis_of(layout: Layout, outside: Mapping[str, str]) -> str | None:
    """The address of Redis: REDIS_URL, or that of the stack that runs here; None where there is neither.

    It may hold a password: no message shows it.

    Raises:
        OperationsError: REDIS_URL is no address of Redis.
    """
    found = redis_url(outside) or addresses(layout, outside).get("redis_url")
    return str(found) if found else None


def needed_redis(layout: Layout, outside: Mapping[str, str]) -> str:
    """The same for what cannot do without.

    Raises:
        OperationsError: likewise, or there is none.
    """
    found = redis_of(layout, outside)
    if found is None:
        raise OperationsError("no Redis is known here: start `fraud up`, or set REDIS_URL")
    return found
