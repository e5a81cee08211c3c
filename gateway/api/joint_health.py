"""The health of a gateway of several processes: whichever is asked answers for all."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gateway.api.health import Health
from gateway.http.problems import Draining, Problem, ProcessNotReady
from gateway.metrics import Metrics
from gateway.processes.states import ProcessState, ProcessStates

ANNOUNCE_SECONDS = 0.25
WAIT_SECONDS = 0.05


class JointHealth:
    """What one process knows of itself, and what the others say.

    A version or a trial is shown only where all processes have it: a release waits for it, and must not return while
    one still answers with the version before.
    """

    def __init__(self, own: Health, states: ProcessStates, metrics: Metrics) -> None:
        self._own = own
        self._states = states
        self._metrics = metrics
        self._listening = False

    async def unready(self) -> Problem | None:
        """Why no more requests should come here; None while all processes that take requests can score them.

        One that is being started again takes none, and so does not count.
        """
        if problem := await self._own.unready():
            return problem
        others = self._states.others()
        return ProcessNotReady() if any(each.listening and not each.ready for each in others) else None

    async def report(self) -> tuple[bool, dict[str, Any]]:
        """The state of each part; a version that not all serve is None, a trial that not all have is paused."""
        healthy, report = await self._own.report()
        parts, others = report["components"], self._states.others()
        listening = [each for each in others if each.listening]
        if any(_version(each) != parts["model"]["version"] for each in others):
            parts["model"]["version"] = None
        parts["trial"] = _joint_trial(parts["trial"], [each.trial for each in listening])
        parts["processes"] = [_shown(each) for each in sorted([*others, self._state()], key=lambda each: each.process)]
        return healthy, report

    async def listen(self) -> None:
        """Returns when this process is to take requests: at once, or when it can score them where others do so."""
        while any(each.listening and each.ready for each in self._states.others()):
            problem = await self._own.unready()
            if problem is None or isinstance(problem, Draining):
                break
            await asyncio.sleep(WAIT_SECONDS)
        self._listening = True
        await self._states.write(self._state())

    async def announce_periodically(self) -> None:
        """Tells the other processes of this one, until it is cancelled; and probes it until it is ready."""
        while True:
            await self._states.write(self._state())
            self._metrics.refresh()
            if not self._own.has_been_ready:
                await self._own.unready()
            await asyncio.sleep(ANNOUNCE_SECONDS)

    def _state(self) -> ProcessState:
        model = self._own.model_state()
        return ProcessState(
            process=self._states.process,
            listening=self._listening,
            ready=self._own.has_been_ready and model["version"] is not None,
            version=model["version"],
            recorded_version=model["recorded_version"],
            trial=self._own.trial_fields(),
        )


def _version(state: ProcessState) -> int | None:
    """The version that a process answers with next: one that takes no requests yet will begin with the recorded one."""
    return state.version if state.listening else state.version or state.recorded_version


def _joint_trial(own: Mapping[str, Any] | None, others: Sequence[Mapping[str, Any] | None]) -> Mapping[str, Any] | None:
    if all(each == own for each in others):
        return own
    shown = next(each for each in (own, *others) if each is not None)
    return {**shown, "status": "paused", "reason": "processes_differ"}


def _shown(state: ProcessState) -> Mapping[str, Any]:
    return {name: value for name, value in asdict(state).items() if name != "at"}
