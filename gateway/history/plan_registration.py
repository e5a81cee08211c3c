"""Registers in Redis which plans this gateway enters transactions by: `fraud history load` asks what they count in."""

import asyncio
from collections.abc import Set
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.history.key_monitor import KeyMonitor
from gateway.logs import log
from history.plan import Plan
from history.redis_schema import PLANS, PLANS_SECONDS, plan_registration

CHECK_INTERVAL_SECONDS = 1.0
RENEWAL_SECONDS = 86_400


async def register_periodically(redis: Redis | None, key_monitor: KeyMonitor, plans: Set[Plan]) -> None:
    """Registers for ever the plans of a set that grows; while Redis does not answer, it tries again.

    Takes a client with a timeout of its own; None where none is configured.
    """
    while redis is not None:
        await asyncio.sleep(CHECK_INTERVAL_SECONDS)
        try:
            if plans and await key_monitor.matches():
                await _register(redis, list(plans))
        except (RedisError, OSError) as error:
            log.warning("plans not registered", reason=type(error).__name__)


async def _register(redis: Redis, plans: list[Plan]) -> None:
    """Registers plans where one of them is not, as after Redis was emptied, and renews all of them once a day."""
    registered: Any = await redis.hmget(PLANS, [plan.digest for plan in plans])  # type: ignore[arg-type, misc]
    if None in registered or await redis.ttl(PLANS) < PLANS_SECONDS - RENEWAL_SECONDS:
        for command in plan_registration(plans):
            await redis.execute_command(*command)  # type: ignore[no-untyped-call]
