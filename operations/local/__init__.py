"""The whole system on one machine: its programs, and who keeps them running.

Not here: how any program is started and ended (`operations.processes`).
"""
