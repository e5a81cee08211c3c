"""Has a Redis that is nearly full forget its oldest transactions (`history.forgetting`), counts them and says so."""

import asyncio
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.history.key_monitor import KeyMonitor
from gateway.logs import log
from gateway.metrics import Metrics
from gateway.redis.scripts import run_script
from history.forgetting import FORGET_BLOCKS, FORGET_OLDEST, NEARLY_FULL
from history.known_ids import SLOTS

CHECK_INTERVAL_SECONDS = 1.0


async def forget_periodically(redis: Redis | None, key_monitor: KeyMonitor, metrics: Metrics) -> None:
    """Checks for ever how full Redis is; takes a client with a timeout of its own, None where none is configured."""
    while redis is not None:
        await asyncio.sleep(CHECK_INTERVAL_SECONDS)
        try:
            if await key_monitor.matches():
                await forget_oldest(redis, metrics)
        except (RedisError, OSError) as error:
            log.warning("nothing forgotten", reason=type(error).__name__)


async def forget_oldest(redis: Redis, metrics: Metrics) -> None:
    """Forgets one slot of transactions, if Redis is nearly full and it is not the newest one."""
    memory: Any = await redis.info("memory")
    if not memory["maxmemory"] or memory["used_memory"] < NEARLY_FULL * memory["maxmemory"]:
        return
    slots: Any = await redis.zrange(SLOTS, 0, 0)
    count = await run_script(redis.execute_command, FORGET_OLDEST, (slots[0], str(NEARLY_FULL))) if slots else -1
    if count < 0:
        return
    metrics.history_forgotten.inc(count)
    log.warning("oldest transactions forgotten", transactions=count)
    cursor = b""
    while cursor != b"0":
        cursor = await run_script(redis.execute_command, FORGET_BLOCKS, (cursor or b"0", slots[0]))
