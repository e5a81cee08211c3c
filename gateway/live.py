"""Which version this gateway serves: it follows the release record and adopts nothing that is not proven.

A version is adopted after it has described itself and scored its golden rows as training did. Until then, and
whenever the new one cannot be proven, the one adopted before it goes on. After a wrong answer the version must be
proven afresh, or else the one before it. A request keeps the model that it began with.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from contract.decision import Bands
from contract.description import Description
from contract.release import Release, ReleaseError
from contract.schema import Contract
from gateway.logs import log
from gateway.metrics import Metrics
from gateway.model_server import ModelServer
from gateway.problems import ModelServerWrong, NoModel, Problem
from gateway.settings import Settings

LOOK_SECONDS = 2.0
"""Patience with one version: a record that changes meanwhile is seen at the next look."""


@dataclass(frozen=True, slots=True)
class LiveModel:
    """One adopted version: its description, and the thresholds in force here."""

    description: Description
    bands: Bands

    @property
    def version(self) -> int:
        """The model version."""
        return self.description.version

    @property
    def contract(self) -> Contract:
        """What it expects."""
        return self.description.contract


class Live:
    """The live model of this gateway."""

    def __init__(self, settings: Settings, server: ModelServer, metrics: Metrics) -> None:
        """Starts with none; :meth:`follow` finds it."""
        self._settings = settings
        self._server = server
        self._metrics = metrics
        self._model: LiveModel | None = None
        self._former: int | None = None
        self._told = ""

    @property
    def model(self) -> LiveModel:
        """The live model.

        Raises:
            NoModel: none has been adopted yet.
        """
        if self._model is None:
            raise NoModel
        return self._model

    def recorded(self) -> Release | None:
        """The release record as it stands now; None where there is none that can be read."""
        return read_release(self._settings.release_record)

    async def follow(self) -> None:
        """Looks at the record for ever, and adopts what it names."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - one archive that surprises must not end the following
                log.error("release record not followed", exc_info=error)
            await asyncio.sleep(self._settings.follow_seconds)

    async def look(self) -> None:
        """Looks at the record once; a version that cannot be adopted is tried again at the next look."""
        record = self.recorded()
        if record is None or (self._model and self._model.version == record.version):
            return
        if not await self._try(record.version) and self._model is None and self._former is not None:
            await self._try(self._former)

    async def _try(self, version: int) -> bool:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                self._adopt(await self._proven(version))
        except (Problem, TimeoutError) as error:
            self._tell(version, error.code if isinstance(error, Problem) else "too_slow")
            return False
        return True

    def _tell(self, version: int, reason: str) -> None:
        """Logs a refusal once, not at every look."""
        if self._told != (told := f"{version} {reason}"):
            log.warning("version not adopted", version=version, reason=reason)
            self._told = told

    async def probe(self) -> None:
        """Scores the golden rows on the live version.

        Raises:
            Problem: there is none, it does not answer, or its scores are not the expected ones.
        """
        model = self.model
        try:
            await self._prove(model.description)
        except ModelServerWrong:
            self.doubt(model)
            raise

    def doubt(self, model: LiveModel) -> None:
        """Drops a model after a wrong answer: what runs under its number may be another one, and must be proven."""
        if self._model is model:
            self._model, self._former = None, model.version
            self._metrics.live_version.set(0)

    async def _proven(self, version: int) -> LiveModel:
        description = await self._server.describe(version)
        await self._prove(description)
        return LiveModel(description, self._settings.bands(description.card.bands))

    async def _prove(self, description: Description) -> None:
        contract = description.contract
        matrix = description.golden.matrix(contract)
        scores = await self._server.score(description.version, contract.fingerprint, matrix)
        if not description.proven_by(scores):
            raise ModelServerWrong

    def _adopt(self, model: LiveModel) -> None:
        self._model, self._told = model, ""
        self._metrics.live_version.set(model.version)
        log.info("version adopted", version=model.version, contract=model.contract.fingerprint)


def read_release(path: Path) -> Release | None:
    """The release record in a file; None where it is absent or torn."""
    try:
        return Release.from_bytes(path.read_bytes())
    except (OSError, ReleaseError):
        return None
