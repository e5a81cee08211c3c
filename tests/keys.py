"""The secret that ids and entities are hashed with in the tests' Redis."""

from history.keyed_hash import HistoryKey

HISTORY_KEY = "0123456789abcdef" * 4
KEY = HistoryKey.of(HISTORY_KEY)
