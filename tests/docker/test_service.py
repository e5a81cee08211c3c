"""What the guide promises, on the compose stack."""

import shlex
import subprocess

import httpx
import pytest

from tests.docker.compose import ROOT, Compose, docker, wait_for
from tests.docker.conftest import Measured

RECOVERY_SECONDS = 90
KILLED = ("gateway", "torchserve", "redis", "keeper", "schedule", "entry")


def test_the_guide_s_curl_works(stack: Compose) -> None:
    """The line of the README, with this stack's port and key, answers with a prediction for each row."""
    readme = (ROOT / "README.md").read_text()
    line = next(line for line in readme.splitlines() if line.startswith("curl") and "/upload" in line)
    line = line.replace("http://localhost:8000", stack.url).replace("test-key", stack.key)
    answer = subprocess.run(shlex.split(line), cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert answer.startswith('{"model_version":1,"rows":500,')


def test_a_wrong_key_is_refused(stack: Compose) -> None:
    """The key is the one of the secret file, and no default beside it."""
    answer = stack.client.get("/v1/contract", headers={"X-API-Key": "test-key"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_the_entry_itself_refuses_is_a_problem_too(stack: Compose) -> None:
    """A caller meets one form of error, whoever makes it."""
    answer = stack.client.get("/health", headers={"X-Long": "x" * 40_000})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 400


def test_the_service_says_that_it_is_healthy(stack: Compose) -> None:
    """Every part is well: the model server, the model, and Redis, which is reached with its password."""
    report = stack.client.get("/health").json()
    assert report["status"] == "healthy", report
    assert report["components"]["redis"] == {"status": "healthy"}


@pytest.mark.parametrize("job", ["check", "backup", "clean", "retrain"])
def test_each_scheduled_job_runs_and_reports(stack: Compose, job: str) -> None:
    """A job ends with exit code 0, and its outcome stands in the keeper's metrics."""
    assert stack.fraud(job).status == 0
    read = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8070/metrics').read().decode())"
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
    api = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False, timeout=10)

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
    stack.run("--profile", "monitoring", "rm", "-sf", "prometheus")
