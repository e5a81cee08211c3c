"""The scheduled jobs: when each is due, how it runs and what becomes of it, and the commands that are made for it.

Not here: what a job does that is a command of its own (`operations.backups`, `operations.retraining`).
"""
