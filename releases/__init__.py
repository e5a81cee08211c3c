"""Which version serves, and what a trial of another one counts.

Here: the release record as a value, and the counts that gateways add up in Redis during a trial. Not here: who writes
the record (`operations.rollout.release` alone) and who follows it (`gateway`).
"""
