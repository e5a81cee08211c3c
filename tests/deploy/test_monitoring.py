"""The monitoring that is shipped: what it reads exists, its alerts fire when they must, and its panels show data."""

import itertools
import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml

from gateway.api.routes import router
from operations.jobs import crontab
from tests.deploy.monitoring_exposed import Exposed, exposed
from tests.deploy.monitoring_panels import DASHBOARD, MONITORING, Query, dashboard, empty, panels, queries
from tests.deploy.monitoring_stack import prometheus, score, until

GRAFANA_12 = 41
"""The schema version of Grafana 12.0; later ones read it, and migrate it when it is shown."""
SCRAPED = {"job", "instance"}
"""Labels that Prometheus gives each sample that it reads."""
WIDTH = 24
COMPOSE = MONITORING.parents[1] / "docker-compose.yml"
ABSENT = "it needs the programs prometheus and promtool; make docker-test runs it where they are"
needs_prometheus = pytest.mark.skipif(not (shutil.which("promtool") and shutil.which("prometheus")), reason=ABSENT)


def read(name: str) -> dict[str, Any]:
    """A YAML file of the monitoring."""
    found: dict[str, Any] = yaml.safe_load((MONITORING / name).read_text())
    return found


RULES = [rule for group in read("rules.yml")["groups"] for rule in group["rules"]]
ASKED = [*queries(), *(Query(rule["alert"], rule["expr"], rule["annotations"]["summary"]) for rule in RULES)]
"""All that is asked of Prometheus: by panels, and by alerts."""
each_query = pytest.mark.parametrize("query", ASKED, ids=lambda query: f"{query.panel}: {query.expression[:40]}")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exposed]:
    """What can be read, by job, with the labels."""
    return exposed(tmp_path_factory.mktemp("jobs"))


def nodes(query: Query) -> list[promql_parser.Expr]:
    """Every part of a query."""
    found: list[promql_parser.Expr] = []
    promql_parser.walk(promql_parser.parse(query.expression), found.append)
    return found


def selectors(query: Query) -> Iterator[tuple[str, str, dict[str, str]]]:
    """What a query reads: job, name, and the other labels with the values that they must have."""
    for node in nodes(query):
        if isinstance(node, promql_parser.VectorSelector):
            assert node.name
            wanted = {each.name: each.value for each in node.matchers.matchers}
            yield wanted.pop("job", "prometheus"), node.name, wanted


def labels(query: Query, shown: dict[str, Exposed]) -> set[str]:
    """The labels of what a query reads."""
    found = set(SCRAPED)
    for job, name, _ in selectors(query):
        found |= shown[job].get(name, set())
    return found


def by(query: Query) -> set[str] | None:
    """The labels that a query keeps; None where it sums up nothing."""
    sums = [node for node in nodes(query) if isinstance(node, promql_parser.AggregateExpr)]
    return {label for node in sums if node.modifier for label in node.modifier.labels} if sums else None


@each_query
def test_what_is_read_exists(query: Query, shown: dict[str, Exposed]) -> None:
    """Each metric is one that the job shows, with the labels that it is chosen by."""
    for job, name, wanted in selectors(query):
        if name != "up":
            assert name in shown[job], f"{job} does not show {name}"
        assert wanted.keys() <= shown[job].get(name, set()) | SCRAPED


@each_query
def test_what_is_grouped_and_named_by_exists(query: Query, shown: dict[str, Exposed]) -> None:
    """Each label that is summed by is one of the metrics', and each that a text names is left in the result."""
    kept = by(query)
    assert (kept or set()) <= labels(query, shown)
    named = set(re.findall(r"\{\{ *(?:\$labels\.)?(\w+) *\}\}", query.legend)) - {"$value"}
    assert named <= (labels(query, shown) if kept is None else kept)


def test_jobs_and_routes_that_are_read_exist() -> None:
    """Each job is scraped, and each route is one of the gateway's."""
    jobs = {job["job_name"] for job in read("prometheus.yml")["scrape_configs"]}
    routes = {getattr(route, "path", "") for route in router.routes}
    for query in ASKED:
        for job, _, wanted in selectors(query):
            assert job in jobs
            assert set(filter(None, wanted.get("route", "").split("|"))) <= routes


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_is_explained_and_tried(rule: dict[str, Any]) -> None:
    """Each alert has a heading in the documentation, a case in which it fires, and one in which it is silent."""
    name = rule["alert"]
    assert f"\n### {name}\n" in (MONITORING.parents[1] / "docs" / "monitoring.md").read_text()
    cases = [case for test in read("rules_test.yml")["tests"] for case in test.get("alert_rule_test", ())]
    fires = {bool(case.get("exp_alerts")) for case in cases if case["alertname"] == name}
    assert fires == {True, False}


def test_each_scheduled_job_is_overdue_in_time() -> None:
    """For each line of operations/crontab an alert fires later than its time, by at most a fifth."""
    expression = next(rule["expr"] for rule in RULES if rule["alert"] == "FraudJobOverdue")
    found = re.findall(r'job_name=~?"([a-z|]+)"\} > ([\d.* ]+)', expression)
    late = {name: math.prod(map(float, product.split("*"))) for jobs, product in found for name in jobs.split("|")}
    jobs = crontab.read(crontab.DEFAULT)
    assert late.keys() == {job.name for job in jobs}
    for job in jobs:
        first = job.next_time(datetime(2026, 1, 1, tzinfo=UTC))
        assert first
        second = job.next_time(first)
        assert second
        assert 1 < late[job.name] / (second - first).total_seconds() <= 1.2


def test_the_dashboard_is_one_that_grafana_12_reads() -> None:
    """It has a uid and a schema version of its time, and each panel an id, a title and an explanation of its own."""
    board = dashboard()
    assert (board["uid"], board["schemaVersion"]) == ("fraud", GRAFANA_12)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)
    assert all(panel.get("description") for panel in panels())


def test_the_dashboard_asks_the_datasource_that_is_provisioned() -> None:
    """Panels and queries name the datasource by its uid, and each query of a panel has a letter of its own."""
    (source,) = read("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    named = {"type": source["type"], "uid": source["uid"]}
    for panel in panels():
        assert all(each["datasource"] == named for each in (panel, *panel["targets"]))
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)


def test_the_panels_lie_side_by_side() -> None:
    """No panel covers another one, and none is wider than the page."""
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    assert all(place["x"] + place["w"] <= WIDTH for place in places)
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above


def test_the_dashboard_names_no_place_of_a_machine() -> None:
    """No address and no path of a file is in it, so that it can be imported anywhere."""
    text = DASHBOARD.read_text()
    assert not re.search(r"https?://|/home/|/srv/|/etc/|/var/|/tmp/", text)


def test_compose_mounts_what_is_read_and_names_what_is_scraped() -> None:
    """Mounted files exist, the dashboard lies where Grafana looks, and each scraped name is one of compose."""
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    mounts = dict(mount.split(":")[:2] for each in ("prometheus", "grafana") for mount in services[each]["volumes"])
    ours = {Path(source): target for source, target in mounts.items() if source.startswith("./deploy/monitoring/")}
    assert ours
    assert all((COMPOSE.parent / source).exists() for source in ours)
    (provider,) = read("grafana/provisioning/dashboards/fraud.yaml")["providers"]
    assert f"{provider['options']['path']}/fraud.json" in ours.values()
    networks = [each["networks"] for each in services.values() if isinstance(each.get("networks"), dict)]
    aliases = {alias for each in networks for network in each.values() for alias in (network or {}).get("aliases", ())}
    for job in read("prometheus.yml")["scrape_configs"]:
        asked = [name for each in job.get("dns_sd_configs", ()) for name in each["names"]]
        asked += [target.split(":")[0] for each in job.get("static_configs", ()) for target in each["targets"]]
        assert set(asked) <= services.keys() | aliases | {"localhost"}


@needs_prometheus
@pytest.mark.parametrize("command", [["check", "config", "prometheus.yml"], ["test", "rules", "rules_test.yml"]])
def test_promtool_is_content(command: list[str]) -> None:
    """The configuration is valid, and each alert fires and is silent as its cases say."""
    done = subprocess.run(["promtool", *command], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_a_real_prometheus_has_data_for_every_panel(tmp_path: Path) -> None:
    """Every target is read, every rule can be evaluated, every query has a number, and nothing unread is kept."""
    with prometheus(tmp_path) as (address, gateways):

        def complete() -> bool:
            for gateway in gateways:
                score(gateway)
            return not empty(address)

        until(complete)
        targets = httpx.get(f"{address}/api/v1/targets").json()["data"]["activeTargets"]
        assert {target["health"] for target in targets} == {"up"}
        groups = httpx.get(f"{address}/api/v1/rules").json()["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert len(rules) == len(RULES)
        assert {rule["health"] for rule in rules} == {"ok"}
        firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
        assert firing == {"FraudJobFailed"}
        kept = httpx.get(f"{address}/api/v1/label/__name__/values").json()["data"]
        assert not [name for name in kept if name.endswith("_created")]
