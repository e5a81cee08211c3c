"""Alerts for people: a line in the stack's output, and the same line to ALERT_URL.

What is posted is `{"text": ...}`, which Slack, Mattermost and the like take. The address is a secret and never shown.
"""

import threading
from collections.abc import Callable

import httpx

PATIENCE = 5.0
"""Seconds that the receiver may take."""


class Alerts:
    """Tells people of what they must look at."""

    def __init__(self, url: str | None, say: Callable[[str], None]) -> None:
        """Takes where to post, if anywhere, and the stack's output."""
        self._url = url
        self._say = say

    def __call__(self, text: str) -> None:
        """Says it and posts it; waits for nobody, so that no repair is late for it."""
        self._say(text)
        if self._url:
            threading.Thread(target=self._post, args=(self._url, text), daemon=True).start()

    def _post(self, url: str, text: str) -> None:
        try:
            status = httpx.post(url, json={"text": text}, timeout=PATIENCE, trust_env=False).status_code
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:  # A host may be no name: a UnicodeError.
            self._say(f"ALERT_URL did not take the alert ({type(error).__name__})")
        else:
            if not httpx.codes.is_success(status):
                self._say(f"ALERT_URL did not take the alert (status {status})")
