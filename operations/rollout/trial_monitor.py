"""Monitors a trial: aborts one that fails or is slow, and sends an alert.

A failing canary costs no answer: the live version scores its rows in the same request. But that takes time, and shows
that the version must not be released. It is judged on the last minute, so that a good week does not hide a bad hour,
and on all counts since this monitor began. What failed while TorchServe was down, or had just come back and not
loaded the version again, is not the version's fault and is left out, unless that happens MAX_RESTARTS times.
"""

import time
from collections import deque

from operations.errors import OperationsError, in_words
from operations.files.durable import LockHeld
from operations.rollout.deployment import DeploymentTarget, Say
from operations.rollout.release import abort_trial
from operations.rollout.trial_counts import RedisUnavailable, read_trial_counts
from operations.rollout.version_loader import Clock, Deduplicator
from operations.store.release_record import read_record
from operations.torchserve.client import TorchServeUnreachable
from releases.record import Trial, TrialKind
from releases.trial_counts import TrialArm, TrialCounts

WINDOW = 60.0
"""Seconds that are judged."""
SETTLE_SECONDS = 3.0
"""Seconds after the version is loaded again until gateways have written what failed before."""
MAX_RESTARTS = 3
RESTART_WINDOW = 600.0
MIN_ERRORS = 3
MAX_ERROR_RATE = 0.02
"""Share of requests; the live version's own share counts twice: when TorchServe fails, no version is to blame."""
MIN_TIMED_REQUESTS = 100
"""Requests of each side before latencies are compared: five slow ones are then no 95th percentile yet."""
MAX_SLOWDOWN = 2.0
MIN_SLOWDOWN = 0.010
"""Seconds; twice of very little is still little."""


class TrialMonitor:
    """Checks the trial that the release record names; :meth:`check` is called repeatedly.

    Attributes:
        target: where; it may be set anew when servers come or go.
    """

    def __init__(
        self,
        target: DeploymentTarget,
        say: Say,
        alert: Say,
        clock: Clock = time.monotonic,
    ) -> None:
        """Takes where messages go: `say` for information, `alert` for what somebody must look at."""
        self.target = target
        self._messages = Deduplicator(say)
        self._alert = alert
        self._clock = clock
        self._trial: Trial | None = None
        self._base = TrialCounts()
        self._window: deque[tuple[float, TrialCounts]] = deque()
        self._restarts: deque[float] = deque()
        self._settled_at = 0.0

    def check(self) -> None:
        """Judges the trial once; expected errors become messages."""
        try:
            record = read_record(self.target.store)
            if record and record.trial and self.target.redis_url:
                self._judge(record.trial, read_trial_counts(self.target.redis_url, record.trial))
                self._messages.reset()
        except RedisUnavailable as error:
            self._messages(str(error))
        except LockHeld:
            pass  # A release runs; the next check reads its record.
        except OperationsError as error:
            self._messages(f"the trial is not watched: {error}")
        except OSError as error:  # For example a full disk: the trial goes on.
            self._messages(f"the trial is not watched: {in_words(error)}")

    def _judge(self, trial: Trial, counts: TrialCounts) -> None:
        now = self._clock()
        if trial != self._trial:
            self._begin(trial, counts)
        if not self._is_loaded(trial.version):
            self._record_restart(now)
        if now < self._settled_at:
            self._base, self._window = counts, deque()
        self._window.append((now, counts))
        while now - self._window[0][0] > WINDOW:
            self._window.popleft()
        if why := self._restarted_too_often(now) or self._violation(trial.kind, counts):
            abort_trial(self.target, why, lambda _: None, of=trial)
            self._alert(f"the {trial.kind} of version {trial.version} was aborted: {why}")

    def _begin(self, trial: Trial, counts: TrialCounts) -> None:
        self._trial, self._base = trial, counts
        self._window, self._restarts = deque(), deque()
        self._settled_at = 0.0

    def _record_restart(self, now: float) -> None:
        """Notes when TorchServe came to be without the version; that it still is says nothing new."""
        if now >= self._settled_at:
            self._restarts.append(now)
        self._settled_at = now + SETTLE_SECONDS

    def _restarted_too_often(self, now: float) -> str | None:
        """A version whose workers take the memory of all ends TorchServe, and with it the live version."""
        while self._restarts and now - self._restarts[0] > RESTART_WINDOW:
            self._restarts.popleft()
        if len(self._restarts) < MAX_RESTARTS:
            return None
        return f"TorchServe ended {MAX_RESTARTS} times in {RESTART_WINDOW / 60:.0f} minutes while it was on trial"

    def _violation(self, kind: TrialKind, counts: TrialCounts) -> str | None:
        return violated_bound(kind, counts.since(self._window[0][1])) or violated_bound(kind, counts.since(self._base))

    def _is_loaded(self, version: int) -> bool:
        """Whether every TorchServe has it, ready or not: workers that end are the version's own fault."""
        try:
            return all(version in one.server.registered() for one in self.target.single_servers)
        except TorchServeUnreachable:
            return False


def violated_bound(kind: TrialKind, counts: TrialCounts) -> str | None:
    """In words, which bound a trial has passed; None where it has passed none."""
    live, trial = counts.arm(TrialArm.LIVE), counts.arm(TrialArm.TRIAL)
    if trial.errors >= MIN_ERRORS and trial.error_rate > max(MAX_ERROR_RATE, 2 * live.error_rate):
        return f"{trial.errors} of {trial.requests} requests to it failed (bound {MAX_ERROR_RATE:.0%})"
    if kind is TrialKind.SHADOW or min(live.requests, trial.requests) < MIN_TIMED_REQUESTS:
        return None
    ours, theirs = live.latency(0.95), trial.latency(0.95)
    if theirs > MAX_SLOWDOWN * ours + MIN_SLOWDOWN:
        return f"95% of its requests take up to {theirs * 1e3:.0f} ms, the live version's {ours * 1e3:.0f} ms"
    return None
