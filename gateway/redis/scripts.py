"""Runs scripts in Redis: by their hash, or sent whole where Redis does not have them, as after a restart."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any

from redis.exceptions import NoScriptError

from history.redis_schema import Argument


@cache
def sha(script: str) -> str:
    """The hash by which Redis names a script."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


async def run_script(execute: Callable[..., Awaitable[Any]], script: str, arguments: Sequence[Argument]) -> Any:  # noqa: ANN401 - a script's own
    """What a script returns; `execute` sends a command.

    Raises:
        RedisError, OSError: Redis does not answer, or refuses.
    """
    try:
        return await execute("EVALSHA", sha(script), 0, *arguments)
    except NoScriptError:
        return await execute("EVAL", script, 0, *arguments)
