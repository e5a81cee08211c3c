"""What the first request would otherwise wait for: connections, scripts, and what libraries make when first used."""

from gateway.history.features import History
from gateway.metrics import Metrics
from gateway.models.inference_client import InferenceClient
from gateway.models.model_tracker import ModelTracker
from gateway.requests.payload import OnError, csv_payload, prepare, read


class WarmUp:
    """The golden rows, the way that a caller's go; they are remembered nowhere, and not counted as predictions."""

    def __init__(self, tracker: ModelTracker, history: History, server: InferenceClient, metrics: Metrics) -> None:
        """Takes the collaborators of a request; the server by the connections on which requests go to it."""
        self._tracker = tracker
        self._history = history
        self._server = server
        self._metrics = metrics

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
