"""What the first request would otherwise wait for: connections, scripts, and what libraries make when first used."""

from dataclasses import dataclass

from gateway.history.features import History
from gateway.metrics import Metrics
from gateway.models.inference_client import InferenceClient
from gateway.models.model_tracker import ModelTracker
from gateway.requests.payload import OnError, csv_payload, prepare, read


@dataclass(frozen=True, slots=True, eq=False)
class WarmUp:
    """Scores the golden rows as a caller's rows; they do not enter the history and are not counted as predictions."""

    _tracker: ModelTracker
    _history: History
    _server: InferenceClient
    _metrics: Metrics

    async def __call__(self) -> None:
        """Scores them.

        Raises:
            Problem: they cannot be scored now; without history they can.
        """
        serving, model = self._tracker.serving, self._tracker.model
        given = csv_payload(model.description.golden.csv.encode())
        reading = await given.work(read, given, serving, OnError.SKIP, self._metrics)
        past = await self._history.fetch(serving, reading.table, given.work, record=False)
        prepared = await given.work(prepare, given, serving, reading, past.values, self._metrics)
        await self._server.score(model.version, model.contract.fingerprint, prepared.matrix)
