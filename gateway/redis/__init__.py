"""How this gateway reaches Redis: connections, scripts, and the circuit breaker.

Not here: what is asked of Redis (`history`, `releases`).
"""
