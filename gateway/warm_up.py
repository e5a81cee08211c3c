"""What the first request would otherwise wait for: connections, scripts, and what libraries make when first used."""

from gateway.history.fetching import History
from gateway.metrics import Metrics
from gateway.models.inference_client import InferenceClient
from gateway.models.model_tracker import ModelTracker
from gateway.requests.payload import OnError, csv_payload, prepare, read


async def warm_up(tracker: ModelTracker, history: History, server: InferenceClient, metrics: Metrics) -> None:
    """Scores the golden rows as a caller's rows; they do not enter the history and are not counted as predictions.

    Raises:
        Problem: they cannot be scored now; without history they can.
    """
    serving, model = tracker.serving, tracker.model
    payload = csv_payload(model.description.golden.csv.encode())
    rows = await payload.work(read, payload, serving, OnError.SKIP, metrics)
    past = await history.fetch(serving, rows.table, payload.work, record=False)
    prepared = await payload.work(prepare, payload, serving, rows, past.values, metrics)
    await server.score(model.version, model.contract.fingerprint, prepared.matrix)
