"""A second version beside the live one: the canary that some rows go to, and the shadow that scores some once more.

Here: how requests are routed and compared. Not here: what a trial has counted (`gateway.models.trial_counts_writer`),
and who ends it (`operations.rollout.trial_monitor`).
"""
