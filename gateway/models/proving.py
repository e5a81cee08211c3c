"""Proof of a version: it says what it is, and scores its golden rows as training did."""

from dataclasses import dataclass

from contract.description import Description
from gateway.http.problems import ModelServerWrong
from gateway.models.inference_client import InferenceClient
from gateway.models.serving_versions import AdoptedModel
from gateway.settings import GatewaySettings

PROOF_CONNECTIONS = 4
"""One each for the live version, the one on trial, the one before, and readiness, whichever of them hangs."""


@dataclass(frozen=True, slots=True, eq=False)
class Prover:
    """Proves versions, over connections of its own: a busy gateway must not look like a sick one."""

    _settings: GatewaySettings
    _server: InferenceClient

    async def proven(self, version: int) -> AdoptedModel:
        """The version, proven.

        Raises:
            Problem: it does not answer, or its scores are not the expected ones.
        """
        description = await self._server.describe(version)
        await self.prove(description)
        return AdoptedModel(description, self._settings.bands(description.card.bands))

    async def prove(self, description: Description) -> None:
        """Scores the golden rows.

        Raises:
            Problem: the version does not answer, or its scores are not the expected ones.
        """
        contract = description.contract
        matrix = description.golden.matrix(contract)
        scores = await self._server.score(description.version, contract.fingerprint, matrix)
        if not description.proven_by(scores):
            raise ModelServerWrong
