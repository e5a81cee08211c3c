"""Which versions this gateway uses: it follows the release record and adopts nothing that is not proven.

A version is adopted after it has described itself and scored its golden rows as training did. Until then, and
whenever the new live one cannot be proven, the one before it goes on. A version that gave a wrong answer is
quarantined until it is proven again. The version on trial and the one that served before are adopted too, beside the
live one and without delaying it: when one of them becomes the live one it is proven already, and callers may send its
columns before and after. A request keeps the versions that it began with.

The record is read once per interval, in a task of its own: a slow proof does not delay it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gateway.http.problems import ModelServerWrong, NoModel, Problem
from gateway.logs import log
from gateway.metrics import Metrics
from gateway.models.entity_sampling import entity_column
from gateway.models.proving import Prover
from gateway.models.release_record import RecordSource
from gateway.models.serving_versions import AdoptedModel, RunningTrial, ServingVersions, TrialState
from gateway.models.trial_counts_writer import TrialCountsWriter
from gateway.timeouts import io_timeout
from history.plan import Plan
from releases.record import Release, Trial
from releases.trial_counts import TrialArm, TrialCounts

PROOF_TIMEOUT_SECONDS = 2.0
"""For one version to prove itself; a record that changes meanwhile is followed right afterwards."""


class ModelTracker:
    """The versions of this gateway: the live one, the one on trial, and the one that served before.

    Attributes:
        plans: those of history that its requests have had.
    """

    def __init__(
        self,
        source: RecordSource,
        follow_seconds: float,
        prover: Prover,
        counts: TrialCountsWriter,
        metrics: Metrics,
    ) -> None:
        """Starts with no version; :meth:`follow` adopts them, and reads the record every `follow_seconds`."""
        self._source = source
        self._follow_seconds = follow_seconds
        self._prover = prover
        self._counts = counts
        self._metrics = metrics
        self._record: Release | None = None
        self._record_changed = asyncio.Event()
        self._unreadable = False
        self._models: dict[int, AdoptedModel] = {}
        self._quarantined = set[int]()
        self._live_version: int | None = None
        self._logged_refusals = dict[int, str]()
        self._planned: tuple[AdoptedModel, ...] = ()
        self._others = frozenset[str]()
        self._plan: Plan | None = None
        self.plans = set[Plan]()
        self._serving: ServingVersions | None = None
        metrics.show_trial(lambda: self.trial_state)

    @property
    def model(self) -> AdoptedModel:
        """The live model.

        Raises:
            NoModel: none has been adopted yet, or it is quarantined.
        """
        model = self._usable(self._live_version)
        if model is None:
            raise NoModel
        return model

    @property
    def serving(self) -> ServingVersions:
        """What a request that begins now is served by; the same object until something of it changes.

        Raises:
            NoModel: no live version has been adopted yet, or it is quarantined.
        """
        model, state = self.model, self.trial_state
        on_trial = self._models.get(state.trial.version) if state else None
        others, plan = self._columns_and_plan(model)
        running = RunningTrial(state.trial, on_trial) if state and on_trial and not state.paused else None
        serving = ServingVersions(model, running, plan, others)
        if self._serving is None or not serving.is_same(self._serving):
            self._serving = serving
        return self._serving

    def _columns_and_plan(self, live: AdoptedModel) -> tuple[frozenset[str], Plan | None]:
        """The columns that callers may send, and the history that is kept, for all versions here.

        Of quarantined ones too: what callers may send must not change with the health of the model server. And a
        version that goes live, or live again, must not begin without a past.
        """
        models = (live, *self._models.values())
        if models != self._planned:
            versions = [live, *(each for number, each in sorted(self._models.items()) if each is not live)]
            plan = Plan.of([each.contract for each in versions])
            self._planned, self._others = models, frozenset[str]().union(*(each.contract.names for each in versions))
            if plan != self._plan:
                self._plan = plan
            self.plans |= {plan} if plan else set()
        return self._others, self._plan

    @property
    def trial_state(self) -> TrialState | None:
        """The recorded trial, and whether it runs; None where there is none."""
        if self._record is None or self._record.trial is None:
            return None
        return TrialState(self._record.trial, self._pause_reason(self._record, self._record.trial))

    @property
    def record(self) -> Release | None:
        """The release record as it was last read; None where that failed."""
        return None if self._unreadable else self._record

    async def follow(self) -> None:
        """Reads the record for ever, and adopts what it names; a slow version delays the release of no other."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._poll_record())
            group.create_task(self._poll(self.refresh_live))
            group.create_task(self._poll(self.refresh_trial))
            group.create_task(self._poll(self.refresh_previous))

    async def refresh_live(self) -> None:
        """Adopts the live version unless it is adopted already; where that fails, the next call tries again.

        While the record cannot be read, the one before holds: a version that is quarantined meanwhile comes back.
        """
        record = self._record
        if record is None:
            return
        if await self._ensure_adopted(record.version):
            if self._record == record:  # Or else it changed meanwhile.
                self._set_live(record.version)
        elif self._live_version is not None and await self._ensure_adopted(self._live_version):
            self._set_live(self._live_version)

    async def refresh_trial(self) -> None:
        """Adopts the version on trial unless it is adopted already.

        One that is quarantined and cannot be proven again counts as a failed request: none goes to it any more, and
        a trial without failures would not be ended.
        """
        record = self.record
        if record is None or record.trial is None:
            return
        version, started = record.trial.version, time.perf_counter()
        quarantined = version in self._quarantined
        if not await self._ensure_adopted(version) and quarantined:
            counts = TrialCounts()
            counts.failed(TrialArm.TRIAL, time.perf_counter() - started)
            self._counts.add(record.trial, counts)

    async def refresh_previous(self) -> None:
        """Adopts the version that served before unless it is adopted already."""
        record = self._record
        if record is not None and record.previous is not None:
            await self._ensure_adopted(record.previous)

    async def probe(self) -> None:
        """Scores the golden rows on the live version.

        Raises:
            Problem: there is none, it does not answer, or its scores are not the expected ones.
        """
        model = self.model
        try:
            await self._prover.prove(model.description)
        except ModelServerWrong:
            self.quarantine(model)
            raise

    def quarantine(self, model: AdoptedModel) -> None:
        """Stops using a model after a wrong answer: another may run under its number, so it must be proven again."""
        if self._models.get(model.version) is model:
            self._quarantined.add(model.version)
            if model.version == self._live_version:
                self._metrics.live_version.set(0)

    def quarantine_trial(self, model: AdoptedModel) -> None:
        """Quarantines a version on trial that hangs, which pauses its trial.

        Nothing happens where it has become the live one meanwhile: slow is not wrong.
        """
        if model.version != self._live_version:
            self.quarantine(model)

    async def _poll(self, refresh: Callable[[], Awaitable[None]]) -> None:
        """Calls `refresh` every `follow_seconds`, and at once where the record has changed, be it during a call."""
        while True:
            record = self._record
            try:
                await refresh()
            except Exception as error:  # noqa: BLE001 - one archive that surprises must not end the following
                log.error("release record not followed", exc_info=error)
            if self._record == record:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._follow_seconds):
                        await self._record_changed.wait()

    async def _poll_record(self) -> None:
        while True:
            try:
                record = await self._source.read()
            except Exception as error:  # noqa: BLE001 - nor may a source that surprises
                log.error("release record not read", exc_info=error)
                record = None
            self._update_record(record)
            await asyncio.sleep(self._follow_seconds)

    def _update_record(self, record: Release | None) -> None:
        """A record that cannot be read changes nothing, but that its trial pauses."""
        if record is None:
            if not self._unreadable:  # The first of several failed readings.
                log.warning("release record unreadable", version=self._record.version if self._record else None)
            self._unreadable = True
            return
        self._unreadable = False
        self._counts.follow(record.trial)
        self._metrics.takeover.set(record.instead_of is not None)
        for version in self._models.keys() - {*record.required_versions, self._live_version}:
            del self._models[version]
            self._quarantined.discard(version)
        if record != self._record:
            self._record = record
            self._record_changed.set()
            self._record_changed = asyncio.Event()  # Whoever waits has been woken; the next change is another.

    def _usable(self, version: int | None) -> AdoptedModel | None:
        return None if version is None or version in self._quarantined else self._models.get(version)

    async def _ensure_adopted(self, version: int) -> bool:
        """Whether a version is adopted; one that is not yet has to prove itself now."""
        if self._usable(version) is not None:
            return True
        try:
            async with io_timeout(PROOF_TIMEOUT_SECONDS):
                self._adopt(await self._prover.proven(version))
        except (Problem, TimeoutError) as error:
            reason = error.code if isinstance(error, Problem) else "too_slow"
            if self._logged_refusals.get(version) != reason:  # The first of several refusals for the same reason.
                log.warning("version not adopted", version=version, reason=reason)
                self._logged_refusals[version] = reason
            return False
        return True

    def _adopt(self, model: AdoptedModel) -> None:
        self._models[model.version] = model
        self._quarantined.discard(model.version)
        self._logged_refusals.pop(model.version, None)
        log.info("version adopted", version=model.version, contract=model.contract.fingerprint)

    def _set_live(self, version: int) -> None:
        if version != self._live_version:
            log.info("version live", version=version)
        self._live_version = version
        self._metrics.live_version.set(version)

    def _pause_reason(self, record: Release, trial: Trial) -> str | None:
        """Why nothing goes to the version on trial; None where it runs."""
        if self._unreadable:  # Nobody could end it.
            return "record_unreadable"
        live = self._usable(self._live_version)
        if live is None or live.version != record.version:
            return "live_version_not_adopted"
        if self._usable(trial.version) is None:
            return "not_adopted"
        if entity_column(live.contract) is None:
            return "no_entity_column"
        return self._counts.pause_reason
