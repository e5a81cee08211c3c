"""All that is durable in one checksummed file, and back.

Not here: when a backup is made (`operations.jobs`).
"""
