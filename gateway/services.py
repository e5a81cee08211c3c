"""What a route may call; `gateway.app` makes it."""

from dataclasses import dataclass

from gateway.api.health import Health
from gateway.api.joint_health import JointHealth
from gateway.api.openapi import OpenApi
from gateway.http.response_budget import ResponseBudget
from gateway.labels.receiving import LabelReceiver
from gateway.metrics import Metrics
from gateway.models.model_tracker import ModelTracker
from gateway.requests.uploads import Uploads
from gateway.scoring import Scorer
from gateway.settings import GatewaySettings


@dataclass(frozen=True, slots=True)
class Services:
    """The collaborators of the routes."""

    settings: GatewaySettings
    metrics: Metrics
    tracker: ModelTracker
    labels: LabelReceiver
    scorer: Scorer
    uploads: Uploads
    response_budget: ResponseBudget
    openapi: OpenApi
    health: Health | JointHealth
