"""Which version this gateway serves: it follows the release record and adopts nothing that is not proven.

A version is adopted after it has described itself and scored its golden rows as training did. Until then, and
whenever the new one cannot be proven, the one adopted before it goes on. A request keeps the model that it began with.
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
        try:
            self._adopt(await self._proven(record.version))
        except Problem as problem:
            log.warning("version not adopted", version=record.version, reason=problem.code)

    async def probe(self) -> None:
        """Scores the golden rows on the live version.

        Raises:
            Problem: there is none, it does not answer, or its scores are not the expected ones.
        """
        await self._prove(self.model.description)

    def forget(self, model: LiveModel) -> None:
        """Drops a model whose contract the model server no longer honours, so that it is described afresh."""
        if self._model is model:
            self._model = None

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
        self._model = model
        self._metrics.live_version.set(model.version)
        log.info("version adopted", version=model.version, contract=model.contract.fingerprint)


def read_release(path: Path) -> Release | None:
    """The release record in a file; None where it is absent or torn."""
    try:
        return Release.from_bytes(path.read_bytes())
    except (OSError, ReleaseError):
        return None
