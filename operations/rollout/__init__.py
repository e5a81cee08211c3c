"""Which version serves: releases, trials, and what keeps TorchServe as the record says.

Not here: the processes in which that runs for ever (`operations.keeper`, `operations.local`).
"""
