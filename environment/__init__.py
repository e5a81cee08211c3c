"""What every process of a deployment takes from its environment.

Here: secrets that lie in files, and blocking connections to the Redis that REDIS_URL names. Not here: the settings of
one process, which stand beside it, and the gateway's own connections (`gateway.redis`).
"""
