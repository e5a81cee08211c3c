"""Keeps model servers as the release record says: within `fraud up`, or as the process `fraud keep`.

Not here: how one version is loaded, proven or taken over from (`operations.rollout`).
"""
