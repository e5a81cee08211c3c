"""Keeps TorchServe as the release record says, by its present state and not by events.

TorchServe forgets every version when it ends and loads none when it starts; a worker that cannot be started again
leaves a version registered that scores nothing. Each reconciliation compares what the record requires with what is
registered and repairs the difference: the live version first; while that one is ready, at most one other, and then
versions that are not required are deleted.
Where the live version cannot be loaded, `operations.rollout.recovery` looks for one to take over; not where the server
is one of several, for a bad one must not change what is live on the others.
"""

import time
from collections.abc import Callable, Mapping

from operations.errors import OperationsError, in_words
from operations.files.durable import LockHeld
from operations.rollout.deployment import DeploymentTarget, Say
from operations.rollout.garbage_collection import VersionGarbageCollector
from operations.rollout.recovery import Recovery, TrainBaseModel
from operations.rollout.release import abort_trial
from operations.rollout.version_loader import Clock, Deduplicator, ReconcileResult, VersionLoader
from operations.store import journal
from operations.store.release_record import read_record
from operations.torchserve.client import RegisteredVersion, TorchServeUnreachable
from releases.record import Release

LONGEST_RELEASE = 90.0
"""Seconds until a release that blocks the loading of the live version raises an alert; workers get 60 to start."""


class Reconciler:
    """Reconciles one TorchServe with the release record; :meth:`reconcile` is called repeatedly.

    Attributes:
        is_only_server: whether there is no other, so that the release record may change when a version cannot be loaded
            on it; it may be set anew when servers come or go.
    """

    def __init__(
        self,
        target: DeploymentTarget,
        say: Say,
        alert: Say,
        base: TrainBaseModel | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        """Takes where messages go: `say` for information, `alert` for what somebody must look at (it prints too).

        `base` trains the base model; without it, no such model ever serves.
        """
        self.is_only_server = True
        self._target = target
        self._say = say
        self._alert = alert
        self._clock = clock
        self._loaders: dict[int, VersionLoader] = {}
        self._garbage_collector = VersionGarbageCollector(target, clock)
        self._recovery = Recovery(target, say, alert, base, clock)
        self._record_alert, self._lock_alert, self._load_alert = (Deduplicator(alert) for _ in range(3))
        self._errors, self._other_errors = Deduplicator(say), Deduplicator(say)
        self._was_released = False
        self._releasing_since: float | None = None
        self._lock_refusal = ""

    def reconcile(self) -> ReconcileResult:
        """Compares and repairs once; returns how the live version is. Expected errors become messages."""
        try:
            record = read_record(self._target.store)
        except OperationsError as error:
            return self._record_unreadable(error)
        if record is None:
            return self._no_release()
        self._record_alert.reset()
        self._was_released = True
        return self._watch_lock(self._with_expected_errors(lambda: self._repair(record), self._errors))

    def _no_release(self) -> ReconcileResult:
        self._garbage_collector.reset()
        if self._was_released:
            self._record_alert("the release record is gone: put release.json back from a backup, or release again")
        return ReconcileResult.NOTHING_RELEASED

    def _watch_lock(self, result: ReconcileResult) -> ReconcileResult:
        """Alerts of a release that is stopped (Ctrl-Z, a frozen terminal): the live version cannot be loaded."""
        if result is not ReconcileResult.RELEASING:
            self._releasing_since = None
            self._lock_alert.reset()
            return result
        self._releasing_since = self._releasing_since or self._clock()
        if self._clock() - self._releasing_since > LONGEST_RELEASE:
            self._lock_alert(f"the live version is not loaded, and cannot be: {self._lock_refusal}")
        return result

    def _record_unreadable(self, error: OperationsError) -> ReconcileResult:
        """Without a readable record it is not known what is required: nothing is loaded or deleted."""
        self._garbage_collector.reset()
        if self._record_alert(str(error)):
            journal.note(self._target.store, "not_loadable", why=str(error))
        return ReconcileResult.FAILED

    def _with_expected_errors(self, act: Callable[[], ReconcileResult], errors: Deduplicator) -> ReconcileResult:
        """Runs an action; a server that is down, a release that runs or a failure of this machine becomes a result."""
        try:
            result = act()
        except TorchServeUnreachable:
            result = self._server_down()
        except LockHeld as busy:
            result, self._lock_refusal = ReconcileResult.RELEASING, str(busy)
        except (OperationsError, OSError) as error:
            errors(in_words(error) if isinstance(error, OSError) else str(error))
            result = ReconcileResult.FAILED
        else:
            errors.reset()
            return result
        self._garbage_collector.reset()
        return result

    def _server_down(self) -> ReconcileResult:
        for loader in self._loaders.values():
            loader.reset_readiness()
        return ReconcileResult.SERVER_DOWN

    def _repair(self, record: Release) -> ReconcileResult:
        registered = self._target.server.registered()
        self._garbage_collector.observe(record, registered)
        self._loaders = {
            version: self._loaders.get(version) or VersionLoader(self._target, version, self._say, self._clock)
            for version in record.required_versions
        }
        result = self._repair_live(record, registered)
        if result is ReconcileResult.HEALTHY:
            self._with_expected_errors(lambda: self._repair_others(record, registered), self._other_errors)
        return result

    def _repair_live(self, record: Release, registered: Mapping[int, RegisteredVersion]) -> ReconcileResult:
        loader = self._loaders[record.version]
        result = loader.check(registered.get(record.version))
        result = loader.load(record) if result is ReconcileResult.MISSING else result
        if result is not ReconcileResult.FAILED or not loader.is_unloadable:
            self._load_alert.reset()
            return result
        if self.is_only_server:
            return self._recovery.attempt(record, loader.last_error)
        where = self._target.server.address
        self._load_alert(f"{where}: version {record.version}, which is live, cannot be loaded ({loader.last_error})")
        return result

    def _repair_others(self, record: Release, registered: Mapping[int, RegisteredVersion]) -> ReconcileResult:
        """Loads at most one of the others, so that the live version is soon checked again."""
        for version in record.required_versions[1:]:
            loader = self._loaders[version]
            checked = loader.check(registered.get(version))
            result = loader.load(record) if checked is ReconcileResult.MISSING else checked
            if result is ReconcileResult.FAILED and loader.is_unloadable:
                self._end_trial(record, loader)
            if checked is ReconcileResult.MISSING:
                return result
        self._garbage_collector.collect(record)
        return ReconcileResult.HEALTHY

    def _end_trial(self, record: Release, loader: VersionLoader) -> None:
        """Aborts the trial of a version that cannot be loaded; the previous version is only tried again.

        One of several servers does not abort it: requests fail towards the live version, and the monitor counts them.
        """
        trial = record.trial
        if trial and trial.version == loader.version and self.is_only_server:
            why = f"it cannot be loaded ({loader.last_error})"
            abort_trial(self._target, why, lambda _: None, of=trial)
            self._alert(f"the {trial.kind} of version {trial.version} was aborted: {why}")
