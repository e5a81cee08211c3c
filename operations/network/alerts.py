"""Alerts for people: a line in the stack's output, and the same line to ALERT_URL.

What is posted is `{"text": ...}`, which Slack, Mattermost and the like take. The address is a secret and never shown.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

import httpx

from environment.bounded_transport import BoundedTransport

TIMEOUT = 5.0
"""Seconds that the receiver may take for each step: to be reached, to take the text, to answer."""
WAIT_TIMEOUT = 2 * TIMEOUT
"""Seconds that a command waits at its end for what it has posted."""
MAX_TRACKED_POSTS = 32
"""Posts that :meth:`Alerts.wait` knows of; a stack that runs for months must not remember them all."""


class Alerts:
    """Tells people of what they must look at."""

    def __init__(self, url: str | None, write_line: Callable[[str], None]) -> None:
        """Takes where to post, if anywhere, and the stack's output."""
        self._url = url
        self._write_line = write_line
        self._posts: deque[threading.Thread] = deque(maxlen=MAX_TRACKED_POSTS)

    def __call__(self, text: str) -> None:
        """Says it and posts it; waits for nobody, so that no repair is late for it."""
        self._write_line(text)
        if self._url:
            post = threading.Thread(target=self._post, args=(self._url, text), daemon=True)
            self._posts.append(post)
            post.start()

    def wait(self, timeout: float = WAIT_TIMEOUT) -> None:
        """Waits up to `timeout` seconds until all posts are answered or have failed: for a command that ends now."""
        until = time.monotonic() + timeout
        for post in list(self._posts):
            post.join(max(0.0, until - time.monotonic()))
        if any(post.is_alive() for post in list(self._posts)):
            self._write_line(f"ALERT_URL has not answered in {timeout:.0f} s")

    def _post(self, url: str, text: str) -> None:
        try:
            with (
                httpx.Client(transport=BoundedTransport(), timeout=TIMEOUT, trust_env=False) as client,
                client.stream("POST", url, json={"text": text}) as answer,  # What it says is not read.
            ):
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:  # A host may be no name: a UnicodeError.
            self._write_line(f"ALERT_URL did not take the alert ({type(error).__name__})")
        else:
            if not httpx.codes.is_success(status):
                self._write_line(f"ALERT_URL did not take the alert (status {status})")
