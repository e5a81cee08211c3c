"""Runs scripts in Redis: by their hash, or sent whole where Redis does not have them, as after a restart."""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from history.redis_schema import Argument


@cache
def sha(script: str) -> str:
    """The hash by which Redis names a script."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


async def run_script(redis: Redis, script: str, arguments: Sequence[Argument]) -> Any:  # noqa: ANN401 - a script's own
    """What a script returns.

    Raises:
        RedisError, OSError: Redis does not answer, or refuses.
    """
    call: tuple[Any, ...] = (0, *arguments)
    try:
        return await redis.execute_command("EVALSHA", sha(script), *call)  # type: ignore[no-untyped-call]
    except NoScriptError:
        return await redis.execute_command("EVAL", script, *call)  # type: ignore[no-untyped-call]
