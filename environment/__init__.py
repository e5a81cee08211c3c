"""What every process of a deployment takes from its environment, and how it reads what other servers answer.

Here: secrets that lie in files, the processors and the memory that there are, blocking connections to the Redis that
REDIS_URL names, and transports that read a response up to a bound. Not here: the settings of one process, which stand
beside it, and the gateway's own connections (`gateway.redis`).
"""
