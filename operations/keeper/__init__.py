"""Keeps model servers as the release record says: within `fraud up`, or as the process `fraud keep`."""
