"""Finds a version to take over from a live one that cannot be loaded (docs/adr/0006-who-takes-over.md).

A refusal is ambiguous: it may be the machine that fails. So nothing takes over that has not been loaded and proven
here and now, and where nothing can be, the record stays as it is and callers get an honest 503.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

from operations.errors import OperationsError, in_words
from operations.files.durable import LockHeld
from operations.rollout.deployment import DeploymentTarget, Say
from operations.rollout.release import take_over
from operations.rollout.version_loader import Backoff, Clock, Deduplicator, ReconcileResult
from operations.store import journal
from operations.store.registry import Entry
from operations.store.release_record import read_record
from operations.torchserve.client import TorchServeUnreachable
from releases.record import Release

TrainBaseModel = Callable[[], int]
"""Trains the base model, which takes a minute, and says which version of the store it is."""
NO_CANDIDATE = (
    "no version of the model store can be loaded: restore a backup, release another version, "
    "or set BASE_MODEL=true and start again, to serve a model trained on simulated transactions"
)


class Recovery:
    """Tries the other versions while the live one cannot be loaded."""

    def __init__(
        self,
        target: DeploymentTarget,
        say: Say,
        alert: Say,
        base: TrainBaseModel | None,
        clock: Clock,
    ) -> None:
        """Takes where messages go, and what trains the base model; None where it must not serve."""
        self._target = target
        self._say = say
        self._alert = alert
        self._train_base = base
        self._clock = clock
        self._begin(None)

    def attempt(self, record: Release, why: str) -> ReconcileResult:
        """Lets the best version that can take over do so; why the live one cannot be loaded is for people.

        Raises:
            LockHeld: a release runs.
            OperationsError: the model server is down, or this machine fails; nothing has changed.
        """
        if record.version != self._live:
            self._begin(record.version)
        entries = self._target.registry.entries()
        for version in candidates(record, entries, other_columns=self._train_base is not None):
            if not self._is_needed(record):
                return ReconcileResult.RELEASING
            if self._backoffs[version].is_over and self._try_take_over(record, version, why):
                return ReconcileResult.TOOK_OVER
        return self._last_resort(record, why)

    def _begin(self, live: int | None) -> None:
        """Another live version, another episode: what failed in the last one may be tried again at once."""
        self._live = live
        self._backoffs = defaultdict[int, Backoff](lambda: Backoff(self._clock))
        self._messages = defaultdict[int, Deduplicator](lambda: Deduplicator(self._say))
        self._exhausted_alert = Deduplicator(self._alert)
        self._training_backoff = Backoff(self._clock)
        self._is_trained = False

    def _is_needed(self, record: Release) -> bool:
        """Whether the live version is still the same, and still does not score."""
        is_ready = self._target.server.is_ready(record.version)
        return read_record(self._target.store) == record and not is_ready

    def _try_take_over(self, record: Release, version: int, why: str) -> bool:
        try:
            take_over(self._target, version, lambda _: None, record)
        except LockHeld:
            raise
        except OperationsError as error:
            self._backoffs[version].increase()
            if isinstance(error, TorchServeUnreachable):
                raise
            self._messages[version](f"version {version} cannot take over: {error}")
            return False
        except OSError as error:  # The record cannot be written: no other version would fare better.
            self._backoffs[version].increase()
            raise OperationsError(f"version {version} cannot take over: {in_words(error)}") from None
        self._alert(f"version {version} took over: version {record.version}, which is live, cannot be loaded ({why})")
        return True

    def _last_resort(self, record: Release, why: str) -> ReconcileResult:
        """The base model, where it may serve; it is trained once, for each training adds a version to the store."""
        if self._train_base is None:
            self._exhausted_alert(NO_CANDIDATE)
            return ReconcileResult.FAILED
        if self._is_trained or not self._training_backoff.is_over:
            return ReconcileResult.FAILED
        self._exhausted_alert("no version of the model store can be loaded: training the base model (about a minute)")
        try:
            version = self._train_base()
        except OperationsError as error:
            self._training_backoff.increase()
            self._say(f"the base model could not be trained: {error}")
            return ReconcileResult.FAILED
        self._is_trained = True
        journal.note(self._target.store, "base_model", version=version, why=why)
        is_live = self._is_needed(record) and self._try_take_over(record, version, why)
        return ReconcileResult.TOOK_OVER if is_live else ReconcileResult.FAILED


def candidates(record: Release, entries: Sequence[Entry], *, other_columns: bool) -> list[int]:
    """Who may take over from the live version, the best first.

    First the versions older than it, the newest of them first: each of them is likely to have served. Then newer ones,
    which were never released or were rolled back from. Last the one on trial, which nobody has judged yet. Versions
    with other columns would refuse every caller's transactions: all others come before them, or they are left out.
    """
    live = next((entry for entry in entries if entry.version == record.version), None)
    on_trial = record.trial.version if record.trial else None

    def rank(entry: Entry) -> tuple[bool, bool, bool, int]:
        return not _fits(entry, live), entry.version == on_trial, entry.version > record.version, -entry.version

    others = [entry for entry in entries if entry.version != record.version and (other_columns or _fits(entry, live))]
    return [entry.version for entry in sorted(others, key=rank)]


def _fits(entry: Entry, live: Entry | None) -> bool:
    """Whether it takes what the live version takes, as far as their entries say."""
    return live is None or not live.inputs or not entry.inputs or set(entry.inputs) == set(live.inputs)
