"""What the guide promises, on the compose stack."""

import shlex
import subprocess

import httpx
import pytest

from tests.docker.compose import ROOT, Compose, docker, wait_for
from tests.docker.conftest import Measured

RECOVERY_SECONDS = 240
KILL_JAVA = """
import os, pathlib, signal
(java,) = [int(each.parent.name) for each in pathlib.Path("/proc").glob("[0-9]*/comm") if each.read_text() == "java\\n"]
os.kill(java, 9)
"""
KILLED = ("gateway", "torchserve", "redis", "keeper", "schedule", "entry")


def test_the_guide_s_curl_works(stack: Compose) -> None:
    """The line of the README, with this stack's port and key, answers with a prediction for each row."""
    readme = (ROOT / "README.md").read_text()
    line = next(line for line in readme.splitlines() if line.startswith("curl") and "/upload" in line)
    line = line.replace("http://localhost:8000", stack.url).replace("test-key", stack.key)
    answer = subprocess.run(shlex.split(line), cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert answer.startswith('{"model_version":1,"rows":500,')


def test_the_first_answer_is_made_with_history(stack: Compose, measured: Measured) -> None:
    """Healthy means that the past is loaded: the first request of all flags as many as the same does later."""
    first, later = stack.first_answer.json(), stack.upload().json()
    measured["flagged of 500 by the first answer, and later"] = [first["flagged"], later["flagged"]]
    assert "degraded" not in first
    assert first["predictions"] == later["predictions"]


def test_a_wrong_key_is_refused(stack: Compose) -> None:
    """The key is the one of the secret file, and no default beside it."""
    answer = stack.client.get("/v1/contract", headers={"X-API-Key": "test-key"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


def test_metrics_are_not_published(stack: Compose) -> None:
    """What needs no key is for the inside; the entry answers that there is nothing, however the path is written."""
    for path in ("/metrics", "/metrics?x", "/%6Detrics", "/metric%73"):
        answer = stack.client.get(httpx.URL(stack.url, raw_path=path.encode()))
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), path


def test_the_entry_takes_the_headers_that_the_gateway_takes(stack: Compose) -> None:
    """HAProxy's own limit of 16 kB would refuse what the gateway allows."""
    assert stack.client.get("/health", headers={"X-Long": "x" * 40_000}).is_success


def test_without_a_gateway_the_entry_says_so_as_a_problem(stack: Compose) -> None:
    """A caller meets one form of error, whoever makes it, and is told when to come back."""
    gateway = stack.container("gateway")
    docker("stop", "-t", "20", gateway, timeout=30)
    answer = stack.client.get("/health")
    docker("start", gateway)
    wait_for(stack.is_healthy, RECOVERY_SECONDS, lambda: stack.run("ps").output)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "no gateway is running"


def test_the_service_says_that_it_is_healthy(stack: Compose) -> None:
    """Every part is well: the model server, the model, and Redis, which is reached with its password."""
    report = stack.client.get("/health").json()
    assert report["status"] == "healthy", report
    assert report["components"]["redis"] == {"status": "healthy", "history_key": "agreed"}
    assert report["components"]["history"]["reason"] is None
    assert report["components"]["history"]["memory_usage"] < 100


@pytest.mark.parametrize("job", ["check", "backup", "clean", "retrain"])
def test_each_scheduled_job_runs_and_reports(stack: Compose, job: str) -> None:
    """A job ends with exit code 0, and its outcome stands in the keeper's metrics."""
    assert stack.fraud(job).status == 0
    read = "import urllib.request as r; print(r.urlopen('http://keeper-pages:8070/metrics').read().decode())"
    metrics = stack.inside(stack.container("keeper"), "python", "-c", read).output
    assert f'fraud_job_last_exit_code{{job_name="{job}"}} 0' in metrics


def test_a_backup_made_here_scores_as_its_training_did(stack: Compose) -> None:
    """What the job wrote is enough to bring every version back: it is verified by scoring."""
    stack.fraud("backup")
    newest = stack.fraud("backup", "list").output.splitlines()[-1].split()[0]
    assert "version 1" in stack.fraud("backup", "verify", f"/srv/var/backups/{newest}").output


@pytest.mark.parametrize("service", KILLED)
def test_each_container_comes_back_after_a_kill(stack: Compose, measured: Measured, service: str) -> None:
    """Whatever is killed with -9 is started again by Docker, and the service is whole without anybody's help."""
    before = stack.restarts(service)
    stack.kill(service)
    wait_for(lambda: stack.restarts(service) > before, 30, lambda: stack.run("ps").output)
    seconds = wait_for(stack.is_healthy, RECOVERY_SECONDS, lambda: stack.run("ps").output)
    measured[f"seconds to healthy after kill -9 of {service}"] = round(seconds, 1)
    assert stack.upload().json()["model_version"] == 1


def test_torchserve_s_container_ends_with_its_jvm(stack: Compose) -> None:
    """No process stays that would look alive while the JVM is dead: Docker starts the container again."""
    before = stack.restarts("torchserve")
    found = stack.inside(stack.container("torchserve"), "python", "-c", KILL_JAVA)
    assert found.status in {0, 137}, found.output
    wait_for(lambda: stack.restarts("torchserve") > before, 30, lambda: stack.run("ps").output)
    wait_for(stack.is_healthy, RECOVERY_SECONDS, lambda: stack.run("ps").output)
    assert stack.upload().json()["model_version"] == 1


def test_a_jvm_that_hangs_is_ended_and_started_again(stack: Compose, measured: Measured) -> None:
    """Docker restarts nothing that hangs; the health check ends what has been silent for a minute."""
    before = stack.restarts("torchserve")
    stack.inside(stack.container("torchserve"), "python", "-c", KILL_JAVA.replace("java, 9", "java, signal.SIGSTOP"))
    wait_for(lambda: stack.restarts("torchserve") > before, 120, lambda: stack.run("ps").output)
    seconds = wait_for(stack.is_healthy, RECOVERY_SECONDS, lambda: stack.run("ps").output)
    measured["seconds to healthy after a hanging JVM was ended"] = round(seconds, 1)
    assert stack.upload().json()["model_version"] == 1


def test_the_stack_comes_back_after_a_stop(stack: Compose, measured: Measured) -> None:
    """`stop` and `start`, as over a reboot: the recorded version serves again, and nothing is trained anew."""
    stack.run("stop")
    stack.run("start")
    seconds = wait_for(stack.is_healthy, 2 * RECOVERY_SECONDS, lambda: stack.run("ps").output)
    measured["seconds from `start` to healthy"] = round(seconds, 1)
    assert stack.upload().json()["model_version"] == 1


def test_prometheus_scrapes_every_part(stack: Compose) -> None:
    """With the profile `monitoring` gateway, TorchServe and keeper are scraped, and the alert rules are loaded."""
    stack.run("--profile", "monitoring", "up", "-d", "--no-deps", "prometheus")
    port = docker("port", stack.container("prometheus"), "9090/tcp").rpartition(":")[2]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False, timeout=10) as api:

        def up() -> set[str]:
            try:
                found = api.get("/query", params={"query": "up == 1"}).json()["data"]["result"]
            except (httpx.HTTPError, ValueError):
                return set()
            return {each["metric"]["job"] for each in found}

        wait_for(lambda: {"gateway", "torchserve", "keeper"} <= up(), 90, lambda: api.get("/targets").text[:3000])
        groups = api.get("/rules").json()["data"]["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}
    assert groups
    prometheus = stack.container("prometheus")
    for check, file in (("check config", "prometheus.yml"), ("test rules", "rules_test.yml")):
        assert stack.inside(prometheus, "promtool", *check.split(), f"/etc/prometheus/{file}").status == 0
    stack.run("--profile", "monitoring", "rm", "-sf", "prometheus")
