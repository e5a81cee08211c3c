"""Blocking connections to Redis, by the address that a deployment's environment names."""

from redis import Redis


def connect(url: str, timeout_seconds: float, *, decode_responses: bool = False) -> Redis:
    """A client of the Redis at this address, to be used in a `with` statement, which closes it.

    Args:
        url: the address, as in REDIS_URL; nothing is sent before the first command.
        timeout_seconds: for connecting and for each answer; redis-py's own default waits for minutes. A command that
            failed is not sent again: it may have been carried out.
        decode_responses: whether replies are text and not bytes.

    Raises:
        ValueError: the address is not one of a Redis.
    """
    client: Redis = Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=None,
        decode_responses=decode_responses,
    )
    return client
