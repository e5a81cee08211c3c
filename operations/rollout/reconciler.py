"""Keeps TorchServe as the release record says, whatever happened to it: looks at what is, not at what changed.

TorchServe forgets every version when it ends and loads none when it starts; a worker that cannot be started again
leaves a version registered that scores nothing. Each look compares what the record wants with what is registered and
mends the difference: the live version first, and only while that one scores at most one other, and what nobody wants.
Where the live version cannot be loaded, `operations.rollout.recovery` looks for one to take over; not where the server
is one of several, for a bad one must not change what is live on the others.
"""

import time
from collections.abc import Callable, Mapping

from operations.errors import OperationsError, in_words
from operations.files.durable import LockHeld
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.garbage_collection import VersionGarbageCollector
from operations.rollout.recovery import Recovery, TrainBaseModel
from operations.rollout.release import abort_trial
from operations.rollout.version_loader import Clock, Deduplicator, ReconcileResult, VersionLoader
from operations.store import journal
from operations.store.release_record import read_record
from operations.torchserve.client import RegisteredVersion, TorchServeUnreachable
from releases.record import Release

LONGEST_RELEASE = 90.0
"""Seconds after which a release that keeps the live version from being loaded is told: workers get 60 to be ready."""


class Reconciler:
    """Looks at one TorchServe, again and again.

    Attributes:
        is_alone: whether this is the only server, so that the release record may change when a version cannot be loaded
            on it; it may be set anew when servers come or go.
    """

    def __init__(
        self,
        target: DeploymentTarget,
        say: Callable[[str], None],
        alert: Callable[[str], None],
        base: TrainBaseModel | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        """Takes what to keep whole and whom to tell: `alert` takes what somebody must look at, and says it too.

        `base` trains the base model; without it, no such model ever serves.
        """
        self.is_alone = True
        self._target = target
        self._say = say
        self._alert = alert
        self._clock = clock
        self._keepers: dict[int, VersionLoader] = {}
        self._leftovers = VersionGarbageCollector(target, clock)
        self._recovery = Recovery(target, say, alert, base, clock)
        self._record_alert, self._lock_alert, self._load_alert = (
            Deduplicator(alert),
            Deduplicator(alert),
            Deduplicator(alert),
        )
        self._trouble, self._others_trouble = Deduplicator(say), Deduplicator(say)
        self._was_released = False
        self._releasing_since: float | None = None
        self._busy = ""

    def look(self) -> ReconcileResult:
        """Compares and mends once, and says how the live version is; never raises for what is to be expected."""
        try:
            record = read_record(self._target.store)
        except OperationsError as error:
            return self._undecided(error)
        if record is None:
            return self._unreleased()
        self._record_alert.forget()
        self._was_released = True
        return self._watch_lock(self._expecting(lambda: self._mend(record), self._trouble))

    def _unreleased(self) -> ReconcileResult:
        self._leftovers.restart()
        if self._was_released:
            self._record_alert("the release record is gone: put release.json back from a backup, or release again")
        return ReconcileResult.NOTHING_RELEASED

    def _watch_lock(self, found: ReconcileResult) -> ReconcileResult:
        """A release that stands still (Ctrl-Z, a frozen terminal) keeps the live version from being loaded."""
        if found is not ReconcileResult.RELEASING:
            self._releasing_since = None
            self._lock_alert.forget()
            return found
        self._releasing_since = self._releasing_since or self._clock()
        if self._clock() - self._releasing_since > LONGEST_RELEASE:
            self._lock_alert(f"the live version is not loaded, and cannot be: {self._busy}")
        return found

    def _undecided(self, error: OperationsError) -> ReconcileResult:
        """Without a record that can be read nobody knows what is wanted: nothing is loaded, deleted or guessed."""
        self._leftovers.restart()
        if self._record_alert(str(error)):
            journal.note(self._target.store, "not_loadable", why=str(error))
        return ReconcileResult.FAILED

    def _expecting(self, act: Callable[[], ReconcileResult], trouble: Deduplicator) -> ReconcileResult:
        """Does something that may meet a server that is down, a release that runs, or a failure of this machine."""
        try:
            found = act()
        except TorchServeUnreachable:
            found = self._server_down()
        except LockHeld as busy:
            found, self._busy = ReconcileResult.RELEASING, str(busy)
        except (OperationsError, OSError) as error:
            trouble(in_words(error) if isinstance(error, OSError) else str(error))
            found = ReconcileResult.FAILED
        else:
            trouble.forget()
            return found
        self._leftovers.restart()
        return found

    def _server_down(self) -> ReconcileResult:
        for keeper in self._keepers.values():
            keeper.server_ended()
        return ReconcileResult.SERVER_DOWN

    def _mend(self, record: Release) -> ReconcileResult:
        there = self._target.server.registered()
        self._leftovers.see(record, there)
        self._keepers = {version: self._keeper(version) for version in record.required_versions}
        found = self._mend_live(record, there)
        if found is ReconcileResult.WHOLE:
            self._expecting(lambda: self._mend_others(record, there), self._others_trouble)
        return found

    def _keeper(self, version: int) -> VersionLoader:
        return self._keepers.get(version) or VersionLoader(self._target, version, self._say, self._clock)

    def _mend_live(self, record: Release, there: Mapping[int, RegisteredVersion]) -> ReconcileResult:
        keeper = self._keepers[record.version]
        found = keeper.look(there.get(record.version))
        found = keeper.load(record) if found is ReconcileResult.MISSING else found
        if found is not ReconcileResult.FAILED or not keeper.is_hopeless:
            self._load_alert.forget()
            return found
        if self.is_alone:
            return self._recovery.look(record, keeper.why)
        where = self._target.server.address
        self._load_alert(f"{where}: version {record.version}, which is live, cannot be loaded ({keeper.why})")
        return found

    def _mend_others(self, record: Release, there: Mapping[int, RegisteredVersion]) -> ReconcileResult:
        """Loads at most one of the others, so that the live version is soon looked at again."""
        for version in record.required_versions[1:]:
            keeper = self._keepers[version]
            seen = keeper.look(there.get(version))
            found = keeper.load(record) if seen is ReconcileResult.MISSING else seen
            if found is ReconcileResult.FAILED and keeper.is_hopeless:
                self._end_trial(record, keeper)
            if seen is ReconcileResult.MISSING:
                return found
        self._leftovers.delete(record)
        return ReconcileResult.WHOLE

    def _end_trial(self, record: Release, keeper: VersionLoader) -> None:
        """Ends the trial of a version that cannot be loaded; the one to go back to is tried on, and told once.

        Of several servers one cannot end it: requests that meet it fail towards the live version, and the watch counts.
        """
        trial = record.trial
        if trial and trial.version == keeper.version and self.is_alone:
            abort_trial(self._target, f"it cannot be loaded ({keeper.why})", lambda _: None, of=trial)
            self._alert(f"the {trial.kind} of version {trial.version} was aborted: it cannot be loaded ({keeper.why})")
