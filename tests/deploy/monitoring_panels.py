"""The queries of the dashboard's panels, and what a Prometheus answers to them.

    python -m tests.deploy.monitoring_panels http://127.0.0.1:9090

asks a running Prometheus for every panel, names those without data, and fails if there are any but those that a stack
which is well and young leaves empty. Send some scoring requests before, half a minute long.
"""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
DASHBOARD = MONITORING / "grafana" / "fraud.json"
RATE_INTERVAL = "1m"
"""What Grafana makes of $__rate_interval: four times the scrape interval."""
MAY_BE_EMPTY = ("ALERTS{", "fraud_job_", "Requests4XX", "Requests5XX", "labelled_", "live_precision", "live_recall")
"""No alert, no job that has run, no error, no label."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel; `legend` names the labels that its lines are called by."""

    panel: str
    expression: str
    legend: str


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def panels() -> list[dict[str, Any]]:
    """The panels that show something, without the headings of rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> Iterator[Query]:
    """Every query of every panel, as Prometheus is sent it."""
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", RATE_INTERVAL)
            yield Query(panel["title"], expression, target["legendFormat"])


def numbers(prometheus: str, expression: str) -> list[float]:
    """What a Prometheus at this address answers to a query now, without what is no number."""
    answer = httpx.post(f"{prometheus}/api/v1/query", data={"query": expression}).raise_for_status().json()
    values = [float(sample["value"][1]) for sample in answer["data"]["result"]]
    return [value for value in values if not math.isnan(value)]


def empty(prometheus: str) -> list[Query]:
    """The queries that a Prometheus has no number for."""
    return [query for query in queries() if not numbers(prometheus, query.expression)]


if __name__ == "__main__":
    missing = [query for query in empty(sys.argv[1]) if not any(word in query.expression for word in MAY_BE_EMPTY)]
    for query in missing:
        print(f"no data: {query.panel}: {query.expression}")
    sys.exit(bool(missing))
