"""How this gateway reaches Redis: connections, the two transports of transactions, scripts, and the circuit breaker.

Not here: what is asked of Redis (`history`, `releases`).
"""
