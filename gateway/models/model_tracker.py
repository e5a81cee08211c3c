"""Which versions this gateway uses: it follows the release record and adopts nothing that is not proven.

A version is adopted after it has described itself and scored its golden rows as training did. Until then, and
whenever the new live one cannot be proven, the one before it goes on. After a wrong answer a version must be proven
afresh. The version on trial and the one that served before are adopted likewise, beside the live one and never in its
way: when one of them becomes the live one it is proven already, and callers may send its columns before and after.
A request keeps the versions that it began with.

The record is read once per interval, apart from the proving: neither waits for the other.
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
"""Patience with one version: a record that changes meanwhile is seen at the next look."""


class ModelTracker:
    """The versions of this gateway: the live one, and the one on trial."""

    def __init__(
        self, source: RecordSource, follow_seconds: float, prover: Prover, tallies: TrialCountsWriter, metrics: Metrics
    ) -> None:
        """Starts with none; :meth:`follow` finds them, and reads the record every `follow_seconds`."""
        self._source = source
        self._follow_seconds = follow_seconds
        self._prover = prover
        self._tallies = tallies
        self._metrics = metrics
        self._record: Release | None = None
        self._models: dict[int, AdoptedModel] = {}
        self._quarantined = set[int]()
        self._version: int | None = None
        self._logged_refusals = dict[int, str]()
        self._unreadable = False
        self._plan: tuple[tuple[str, ...], Plan | None] = ((), None)
        self._record_changed = asyncio.Event()
        metrics.show_trial(lambda: self.trial_state)

    @property
    def model(self) -> AdoptedModel:
        """The live model.

        Raises:
            NoModel: none has been adopted yet.
        """
        model = self._usable(self._version)
        if model is None:
            raise NoModel
        return model

    @property
    def serving(self) -> ServingVersions:
        """What a request that begins now is served by.

        Raises:
            NoModel: no live version has been adopted yet.
        """
        model, state = self.model, self.trial_state
        # Of doubted ones too: what callers may send does not change with the model server's moods.
        others = frozenset[str]().union(*(each.contract.names for each in self._models.values()))
        tried = self._models.get(state.trial.version) if state else None
        plan = self._plan_for(model)
        if state is None or tried is None or state.paused:
            return ServingVersions(model, None, plan, others)
        return ServingVersions(model, RunningTrial(state.trial, tried), plan, others)

    def _plan_for(self, model: AdoptedModel) -> Plan | None:
        """History is kept for all versions here: one that goes live, or live again, must not begin without a past."""
        versions = [model, *(each for number, each in sorted(self._models.items()) if each is not model)]
        fingerprints = tuple(each.contract.fingerprint for each in versions)
        if fingerprints != self._plan[0]:
            self._plan = fingerprints, Plan.of([each.contract for each in versions])
        return self._plan[1]

    @property
    def trial_state(self) -> TrialState | None:
        """The recorded trial, and whether it runs; None where there is none."""
        if self._record is None or self._record.trial is None:
            return None
        return TrialState(self._record.trial, self._paused(self._record, self._record.trial))

    @property
    def recorded(self) -> Release | None:
        """The release record as it was last read; None where it could not be."""
        return None if self._unreadable else self._record

    async def follow(self) -> None:
        """Reads the record for ever, and adopts what it names; the silence of another version delays no release."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._poll_record())
            group.create_task(self._poll(self.refresh_live))
            group.create_task(self._poll(self.refresh_trial))
            group.create_task(self._poll(self.refresh_previous))

    async def refresh_live(self) -> None:
        """Looks for the live version once; one that cannot be adopted is tried again at the next look.

        While the record cannot be read, the one before holds: a version that is doubted meanwhile comes back.
        """
        record = self._record
        if record is None:
            return
        if await self._ensure_adopted(record.version):
            if self._record == record:  # Or else it changed meanwhile.
                self._set_live(record.version)
        elif self._version is not None and await self._ensure_adopted(self._version):
            self._set_live(self._version)

    async def refresh_trial(self) -> None:
        """Looks for the version on trial once; likewise. One that is doubted, and not proven again, counts as failed.

        No request goes to it any more, and what is not counted, nobody ends.
        """
        record = self.recorded
        if record is None or record.trial is None:
            return
        version, started = record.trial.version, time.perf_counter()
        doubted = version in self._quarantined
        if not await self._ensure_adopted(version) and doubted:
            counts = TrialCounts()
            counts.failed(TrialArm.TRIAL, time.perf_counter() - started)
            self._tallies.add(record.trial, counts)

    async def refresh_previous(self) -> None:
        """Looks for the version that served before once; likewise."""
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
        """Drops a model after a wrong answer: what runs under its number may be another one, and must be proven."""
        if self._models.get(model.version) is model:
            self._quarantined.add(model.version)
            if model.version == self._version:
                self._metrics.live_version.set(0)

    def quarantine_trial(self, model: AdoptedModel) -> None:
        """Doubts a version on trial that hangs: its trial pauses. By now it may be the live one: slow is not wrong."""
        if model.version != self._version:
            self.quarantine(model)

    async def _poll(self, look: Callable[[], Awaitable[None]]) -> None:
        """Looks every `follow_seconds`, and at once where another record was read, be it during a look."""
        while True:
            seen = self._record
            try:
                await look()
            except Exception as error:  # noqa: BLE001 - one archive that surprises must not end the following
                log.error("release record not followed", exc_info=error)
            if self._record == seen:
                await self._wait_for_change()

    async def _wait_for_change(self) -> None:
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
        """Takes what was read; a record that cannot be read changes nothing, but that its trial pauses."""
        if record is None:
            self._mark_unreadable()
            return
        self._unreadable = False
        self._tallies.follow(record.trial)
        self._metrics.takeover.set(record.instead_of is not None)
        self._discard_others({*record.wanted, self._version})
        if record != self._record:
            self._record = record
            self._record_changed.set()
            self._record_changed = asyncio.Event()  # Whoever waits has heard this one; the next news is another.

    def _mark_unreadable(self) -> None:
        """Says so once, not at every reading."""
        if not self._unreadable:
            log.warning("release record unreadable", version=self._record.version if self._record else None)
        self._unreadable = True

    def _discard_others(self, versions: set[int | None]) -> None:
        for version in self._models.keys() - versions:
            del self._models[version]
            self._quarantined.discard(version)

    def _usable(self, version: int | None) -> AdoptedModel | None:
        return None if version is None or version in self._quarantined else self._models.get(version)

    async def _ensure_adopted(self, version: int) -> bool:
        """Whether a version is adopted; one that is not yet is tried."""
        return self._usable(version) is not None or await self._adopt_if_proven(version)

    async def _adopt_if_proven(self, version: int) -> bool:
        try:
            async with io_timeout(PROOF_TIMEOUT_SECONDS):
                self._adopt(await self._prover.proven(version))
        except (Problem, TimeoutError) as error:
            self._log_refusal(version, error.code if isinstance(error, Problem) else "too_slow")
            return False
        return True

    def _log_refusal(self, version: int, reason: str) -> None:
        """Logs a refusal once, not at every look."""
        if self._logged_refusals.get(version) != reason:
            log.warning("version not adopted", version=version, reason=reason)
            self._logged_refusals[version] = reason

    def _adopt(self, model: AdoptedModel) -> None:
        self._models[model.version] = model
        self._quarantined.discard(model.version)
        self._logged_refusals.pop(model.version, None)
        log.info("version adopted", version=model.version, contract=model.contract.fingerprint)

    def _set_live(self, version: int) -> None:
        if version != self._version:
            log.info("version live", version=version)
        self._version = version
        self._metrics.live_version.set(version)

    def _paused(self, record: Release, trial: Trial) -> str | None:
        """Why nothing goes to the version on trial; None where it runs."""
        if self._unreadable:  # Nobody could end it.
            return "record_unreadable"
        live = self._usable(self._version)
        if live is None or live.version != record.version:
            return "live_version_not_adopted"
        if self._usable(trial.version) is None:
            return "not_adopted"
        if entity_column(live.contract) is None:
            return "no_entity_column"
        return self._tallies.pause_reason
