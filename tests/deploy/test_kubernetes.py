"""deploy/kubernetes, as kustomize builds it: valid, safe, and of a piece. No cluster is needed, and none was asked."""

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError
from redis import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError
from referencing import Registry
from referencing import Resource as Document

from environment import secret_files
from gateway.settings import DRAIN_SECONDS
from history.epoch import EPOCH, LOADING, LOADING_LEASE_SECONDS, Epoch
from history.journal import RECOVER
from history.session import SMALL_BATCH_ROWS
from operations import settings
from operations.history.rekey import rekey
from operations.keeper import loading_lease
from operations.keeper.status import KeeperStatus
from operations.local import valkey
from releases.record import Trial, TrialKind
from releases.trial_counts import trial_key
from tests.deploy import documented
from tests.deploy.compose_volumes import prepared
from tests.deploy.kubernetes_build import NotUnderstood, Resource, build
from tests.deploy.kubernetes_network import Party, reach, selects
from tests.deploy.kubernetes_pods import Pod, pods, violations
from tests.gateway.process import Gateway
from tests.gateway.remembering import HEADER, history_server, line
from tests.history.oracle import Label
from tests.history.served import Served
from tests.history.test_evaluation import START, plan_of, row
from tests.history.test_session import COUNT
from tests.keys import HISTORY_KEY, KEY
from tests.timeouts import WAIT_SECONDS

ROOT = Path(__file__).parents[2]
HERE = ROOT / "deploy" / "kubernetes"
MONITORING = ROOT / "deploy" / "monitoring"
KUBERNETES_PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
CRDS = Path(__file__).parent / "schemas" / "kubernetes-crds.yaml"
OLDEST, NEWEST = "1.32", "1.37"
"""Releases of Kubernetes; what the files use must be in both."""
OURS = {"fraud-gateway", "fraud-torchserve", "fraud-operations"}
VERSION = "1.0.0"
API_KEY = {"X-API-Key": "k-1"}
SECRET_FILES = "/run/secrets/fraud"


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kustomization with every component, as an operator would write one."""
    directory = tmp_path_factory.mktemp("everything")
    here = os.path.relpath(HERE.resolve(), directory.resolve())
    components = sorted(path.name for path in (HERE / "components").iterdir())
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{here}/overlays/cpu"],
        "components": [f"{here}/components/{name}" for name in components],
        "namespace": "fraud",
    }
    (directory / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return directory


@pytest.fixture(params=["overlays/cpu", "overlays/gpu", "kserve", "everything"])
def directory(request: pytest.FixtureRequest, everything: Path) -> Path:
    """Each directory that is meant to be applied."""
    return everything if request.param == "everything" else HERE / request.param


@pytest.fixture
def resources(directory: Path) -> list[Resource]:
    """What it makes."""
    return build(directory)


@pytest.fixture(scope="module")
def cpu() -> list[Resource]:
    """What the plain overlay makes."""
    return build(HERE / "overlays" / "cpu")


@pytest.fixture(scope="module")
def secrets() -> dict[str, dict[str, str]]:
    """What deploy/kubernetes/secrets makes, by name."""
    made = subprocess.run(
        [HERE / "secrets"], check=True, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}
    )
    return {each["metadata"]["name"]: each["stringData"] for each in yaml.safe_load_all(made.stdout)}


def named(resources: Sequence[Resource], kind: str, name: str) -> Resource:
    """The one of that kind and name."""
    (found,) = (each for each in resources if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def names(resources: Sequence[Resource], kind: str) -> set[str]:
    """Of all of a kind."""
    return {each["metadata"]["name"] for each in resources if each["kind"] == kind}


def pod(resources: Sequence[Resource], owner: str) -> Pod:
    """The pod of a workload."""
    (found,) = (each for each in pods(resources) if each.owner == owner)
    return found


def environment(one: Pod, resources: Sequence[Resource]) -> dict[str, str]:
    """What the first container of a pod sees, ConfigMaps included."""
    container, found = one.spec["containers"][0], dict[str, str]()
    for each in container.get("envFrom", ()):
        found |= named(resources, "ConfigMap", each["configMapRef"]["name"])["data"]
    return found | {each["name"]: each["value"] for each in container.get("env", ()) if "value" in each}


def validate(resource: Resource, release: str) -> None:
    """Validates against the schema of its kind: the API's own, or one of schemas/kubernetes-crds.yaml."""
    kind = f"{resource['apiVersion']} {resource['kind']}"
    if kind not in custom_kinds():
        kubernetes_validate.validate(resource, release, strict=True)
        return
    assert resource.keys() == {"apiVersion", "kind", "metadata", "spec"}
    Draft202012Validator(custom_kinds()[kind], registry=kinds_of_the_api(release)).validate(resource["spec"])


@cache
def custom_kinds() -> Mapping[str, Any]:
    """The schemas of the specs of other projects' resources."""
    found: Mapping[str, Any] = yaml.safe_load(CRDS.read_text())
    return found


@cache
def kinds_of_the_api(release: str) -> Registry[Any]:
    """What those schemas refer to."""
    schemas = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{release}.0-local-strict"
    definitions = json.loads((schemas / "_definitions.json").read_bytes())
    empty: Registry[Any] = Registry()
    registry: Registry[Any] = empty.with_resource(definitions["$id"], Document.from_contents(definitions))
    return registry


# What kustomize makes


@pytest.mark.skipif(not (shutil.which("kustomize") or shutil.which("kubectl")), reason="no kustomize is installed")
def test_the_real_kustomize_makes_the_same(directory: Path) -> None:
    """Our small build makes what the real one does."""
    command = ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"]
    made = subprocess.run([*command, directory], check=True, capture_output=True, text=True).stdout
    real, ours = ({_identity(each): each for each in some} for some in (yaml.safe_load_all(made), build(directory)))
    assert real == ours


def _identity(resource: Resource) -> tuple[str, str]:
    return resource["kind"], resource["metadata"]["name"]


@pytest.mark.parametrize(
    "more",
    [
        {"namePrefix": "a-"},
        {"resources": ["../base/gateway.yaml"]},
        {"images": [{"name": "fraud-gateway", "digest": "sha256:0"}]},
        {"patches": [{"target": {"kind": "Deployment", "name": "nobody"}, "patch": "[]"}]},
        {"patches": [{"patch": "{kind: Service, metadata: {name: gateway}, spec: {}}"}]},
    ],
)
def test_what_our_build_does_not_know_is_refused(tmp_path: Path, more: dict[str, Any]) -> None:
    """A kustomization that uses another feature makes the tests fail: the real one would make something else."""
    shutil.copytree(HERE / "base", tmp_path / "base")
    (tmp_path / "over").mkdir()
    (tmp_path / "over" / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["../base"]} | more))
    with pytest.raises(NotUnderstood):
        build(tmp_path / "over")


@pytest.mark.parametrize("release", [OLDEST, NEWEST])
def test_every_resource_is_valid(resources: list[Resource], release: str) -> None:
    """Every resource has the fields of its schema, and no other."""
    for each in resources:
        validate(each, release)


@pytest.mark.parametrize(
    ("kind", "name", "way", "value"),
    [
        ("Deployment", "gateway", ("spec", "template", "spec", "containers", 0, "livenesProbe"), {}),
        ("HorizontalPodAutoscaler", "gateway", ("spec", "maxReplicas"), "ten"),
        ("ScaledObject", "torchserve", ("spec", "triggers", 0, "metadata", "threshold"), 20),
        ("ScaledObject", "torchserve", ("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior", "up"), {}),
        ("ServiceMonitor", "fraud", ("spec", "endpoints", 0, "interval"), "15 s"),
        ("ServingRuntime", "fraud-torchserve", ("spec", "containers", 0, "imagePull"), "Always"),
        ("InferenceService", "fraud", ("spec", "predictor", "replicas"), 1),
    ],
)
def test_the_validation_finds_a_slip(
    everything: Path, kind: str, name: str, way: tuple[str | int, ...], value: object
) -> None:
    """A misspelt field, or one of the wrong type, is found in each kind of schema."""
    slip = deepcopy(named([*build(everything), *build(HERE / "kserve")[-2:]], kind, name))
    *steps, last = way
    node: Any = slip
    for step in steps:
        node = node[step]
    node[last] = value
    with pytest.raises((ValidationError, kubernetes_validate.ValidationError)):
        validate(slip, NEWEST)


# Pods


def test_every_pod_is_restricted(resources: list[Resource]) -> None:
    """Every pod passes Pod Security `restricted`, and runs on a read-only root without a token of the API server."""
    assert {each.owner: violations(each) for each in pods(resources)} == {each.owner: [] for each in pods(resources)}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda spec: spec.update(hostNetwork=True),
        lambda spec: spec.update(automountServiceAccountToken=True),
        lambda spec: spec["volumes"].append({"name": "node", "hostPath": {"path": "/"}}),
        lambda spec: spec["securityContext"].update(runAsUser=0),
        lambda spec: spec["securityContext"].pop("seccompProfile"),
        lambda spec: spec["containers"][0]["securityContext"].update(runAsNonRoot=False),
        lambda spec: spec["containers"][0]["securityContext"].update(allowPrivilegeEscalation=True),
        lambda spec: spec["containers"][0]["securityContext"]["capabilities"].update(add=["NET_ADMIN"]),
        lambda spec: spec["containers"][0]["securityContext"].pop("readOnlyRootFilesystem"),
        lambda spec: spec["containers"].append({"name": "another"}),
    ],
)
def test_a_pod_that_may_more_is_found(cpu: list[Resource], spoil: Callable[[dict[str, Any]], None]) -> None:
    """Each right that a pod should not have is noticed when one gets it."""
    spoilt = deepcopy(pod(cpu, "Deployment gateway"))
    spoil(spoilt.spec)
    assert violations(spoilt)


def test_the_namespace_enforces_what_the_pods_keep(resources: list[Resource]) -> None:
    """The cluster itself refuses a pod that is not `restricted`."""
    labels = named(resources, "Namespace", "fraud")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_image_is_ours_or_pinned(resources: list[Resource]) -> None:
    """Every image is one of ours at the version of the code, or Redis at a version; none is `latest`."""
    for image in (container["image"] for each in pods(resources) for container in each.containers):
        name, _, tag = image.rpartition(":")
        assert (name in OURS and tag.split("-")[0] == VERSION) or image == "redis:7.2-bookworm", image


def test_the_images_have_the_version_of_the_code() -> None:
    """The images are of the release that these files are of."""
    assert f'\nversion = "{VERSION}"\n' in (ROOT / "pyproject.toml").read_text()


def test_what_a_pod_names_is_there(resources: list[Resource], secrets: dict[str, dict[str, str]]) -> None:
    """Accounts, ConfigMaps, claims and keys of secrets that a pod names exist, and each mount has its volume."""
    for each in pods(resources):
        assert each.spec["serviceAccountName"] in names(resources, "ServiceAccount"), each.owner
        claimed = {
            claim["metadata"]["name"]
            for claim in named(resources, *each.owner.split())["spec"].get("volumeClaimTemplates", ())
        }
        volumes = {volume["name"] for volume in each.spec["volumes"]} | claimed
        for volume in each.spec["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in names(resources, "PersistentVolumeClaim"), each.owner
            if secret := volume.get("secret"):
                assert {item["key"] for item in secret.get("items", ())} <= secrets[secret["secretName"]].keys()
        for container in each.containers:
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes, each.owner
            for source in container.get("envFrom", ()):
                assert source["configMapRef"]["name"] in names(resources, "ConfigMap"), each.owner
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                port = container.get(kind, {}).get("httpGet", {}).get("port", next(iter(each.ports), None))
                assert port is None or port in each.ports, each.owner


def test_every_secret_file_is_mounted(resources: list[Resource]) -> None:
    """Where a setting names the file of a secret, that file is in the pod; no secret is in the environment itself."""
    for each in pods(resources):
        if each.owner.split()[1] in ("redis", "torchserve", "fraud"):
            continue
        seen = environment(each, resources)
        assert not seen.keys() & set(secret_files.NAMES), each.owner
        (volume,) = (volume["secret"] for volume in each.spec["volumes"] if "secret" in volume)
        mounted = {f"{SECRET_FILES}/{item['path']}" for item in volume["items"]}
        assert {value for name, value in seen.items() if name.removesuffix("_FILE") in secret_files.NAMES} == mounted


def test_no_secret_reaches_torchserve(resources: list[Resource]) -> None:
    """TorchServe, whose workers run what an archive holds, is given no secret."""
    (served,) = (each for each in pods(resources) if each.labels["app.kubernetes.io/name"] == "torchserve")
    assert not [volume for volume in served.spec["volumes"] if "secret" in volume]


def test_only_releases_write_into_the_model_store(resources: list[Resource]) -> None:
    """TorchServe reads its record and the verified copies; gateways have no volume; the keeper and the jobs write."""
    for each in pods(resources):
        claims = {volume["name"] for volume in each.spec["volumes"] if "persistentVolumeClaim" in volume}
        mounts = [mount for mount in each.containers[0]["volumeMounts"] if mount["name"] in claims]
        if each.labels.get("role") == "release":
            assert {mount["mountPath"] for mount in mounts} == {"/srv/model_store", "/srv/verified", "/srv/var"}
        else:
            assert all(mount["readOnly"] for mount in mounts), each.owner


def test_torchserve_loads_what_releases_have_verified(resources: list[Resource]) -> None:
    """TorchServe loads from the claim into which who releases puts verified copies, and from no other."""
    paths = dict[str, str]()
    for each in pods(resources):
        if path := environment(each, resources).get("VERIFIED_PATH"):
            (mount,) = (mount for mount in each.containers[0]["volumeMounts"] if mount["name"] == "verified")
            assert mount["mountPath"] == path
            claim = next(volume for volume in each.spec["volumes"] if volume["name"] == "verified")
            paths[each.owner] = claim["persistentVolumeClaim"]["claimName"]
    releasing = {each.owner for each in pods(resources) if each.labels.get("role") == "release"}
    (served,) = (each for each in pods(resources) if each.labels["app.kubernetes.io/name"] == "torchserve")
    assert paths == dict.fromkeys({*releasing, served.owner}, "verified")


def test_the_old_keeper_ends_before_a_new_one_starts(resources: list[Resource], tmp_path: Path) -> None:
    """A rolling update would wait for ever: a keeper that waits for the other one's lock is alive and not ready."""
    spec = named(resources, "Deployment", "keeper")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    second = KeeperStatus(tmp_path)
    second.blocked_reason = "another keeper works on this model store"
    assert (second.unready_reason(), second.stall_reason()) == (second.blocked_reason, None)


# Settings


def reads(one: Pod) -> set[str]:
    """The ConfigMaps of which a pod's environment is made."""
    return {source["configMapRef"]["name"] for each in one.containers for source in each.get("envFrom", ())}


def test_each_program_reads_its_maps(resources: list[Resource]) -> None:
    """Whatever is written into a map reaches every pod that it is for, and the shared one gateways and releases."""
    maps = {
        "gateway": {"fraud-shared", "fraud-gateway"},
        "torchserve": {"fraud-torchserve"},
        "keeper": {"fraud-shared", "fraud-operations"},
        "job": {"fraud-shared", "fraud-operations"},
        "redis": set(),
    }
    for each in pods(resources):
        assert reads(each) == maps[each.labels["app.kubernetes.io/name"]], each.owner


def test_every_setting_of_our_pages_can_be_set(resources: list[Resource]) -> None:
    """Each is set by the manifests, or is in the table of docs/kubernetes.md beside a map that is there."""
    table = documented.places("kubernetes")
    assert table.keys() == names(resources, "ConfigMap")
    given = {name for each in pods(resources) for name in environment(each, resources)}
    given |= {each["name"] for one in pods(resources) for each in one.containers[0].get("env", ())}
    given |= {name.removesuffix("_FILE") for name in given} | {f"{name}_FILE" for name in secret_files.NAMES}
    assert documented.settings() <= given.union(*table.values())


def test_no_manifest_hides_a_setting_of_the_table(resources: list[Resource]) -> None:
    """A variable of a container would win over its map."""
    table = documented.places("kubernetes")
    for each in pods(resources):
        own = {variable["name"] for variable in each.containers[0].get("env", ())}
        assert not own & set().union(*(table[name] for name in reads(each))), each.owner


def test_the_deadline_is_the_same_for_gateways_and_releases(cpu: list[Resource]) -> None:
    """One place says it, and the keeper waits longer than a request may take before it unloads a version."""
    seen = [
        environment(pod(cpu, owner), cpu) for owner in ("Deployment gateway", "Deployment keeper", "CronJob release")
    ]
    (deadline,) = {each["DEADLINE_SECONDS"] for each in seen}
    assert settings.keeper_settings(seen[1], Path("/srv")).drain > float(deadline)


def test_keys_of_archives_have_a_place(cpu: list[Resource]) -> None:
    """What loads or makes archives finds the keys where docs/kubernetes.md and the settings have them; none need be."""
    text = (HERE / "base" / "settings.yaml").read_text()
    for each in (each for each in pods(cpu) if each.labels.get("role") == "release"):
        (volume,) = (volume for volume in each.spec["volumes"] if volume["name"] == "model-keys")
        (mount,) = (mount for mount in each.containers[0]["volumeMounts"] if mount["name"] == "model-keys")
        sources = [next(iter(source.items())) for source in volume["projected"]["sources"]]
        assert [(kind, source["name"]) for kind, source in sources] == [
            ("configMap", "model-verify-key"),
            ("secret", "model-signing-key"),
        ]
        assert all(source["optional"] for _, source in sources)
        for name, file in (("MODEL_VERIFY_KEY", "verify.pem"), ("MODEL_SIGNING_KEY", "signing.pem")):
            assert f"# {name}: {mount['mountPath']}/{file}\n" in text
            assert f"{volume['projected']['sources'][0]['configMap']['name']} --from-file=verify.pem" in KUBERNETES_PAGE
            assert f"{volume['projected']['sources'][1]['secret']['name']} --from-file=signing.pem" in KUBERNETES_PAGE


def test_a_gateway_has_the_time_to_drain(cpu: list[Resource]) -> None:
    """Kubernetes waits longer than a gateway needs to say that it ends, and to answer what it took."""
    one = pod(cpu, "Deployment gateway")
    delay = float(environment(one, cpu)["DRAIN_DELAY_SECONDS"])
    assert delay > 0
    assert one.spec["terminationGracePeriodSeconds"] > delay + DRAIN_SECONDS


def test_torchserve_cannot_take_a_whole_node(resources: list[Resource]) -> None:
    """TorchServe starts a worker for each processor that it may use, and so there is a limit."""
    (served,) = (each for each in pods(resources) if each.labels["app.kubernetes.io/name"] == "torchserve")
    assert served.containers[0]["resources"]["limits"]["cpu"] == "2"


def test_each_torchserve_of_the_gpu_overlay_has_a_gpu() -> None:
    """The overlay asks for a GPU for TorchServe and for nobody else, and names the image that can use it."""
    for each in pods(build(HERE / "overlays" / "gpu")):
        (container,) = each.containers
        is_torchserve = each.owner == "Deployment torchserve"
        assert container["resources"]["limits"].get("nvidia.com/gpu", 0) == is_torchserve, each.owner
        assert container["image"].endswith("-cuda") == is_torchserve, each.owner


def test_kserve_runs_the_same_container() -> None:
    """KServe's runtime has the container and the volumes of our own Deployment, but for the name that KServe wants."""
    ours = pod(build(HERE / "overlays" / "cpu"), "Deployment torchserve")
    theirs = pod(build(HERE / "kserve"), "InferenceService fraud")
    assert theirs.containers[0] == ours.containers[0] | {"name": "kserve-container"}
    assert theirs.spec["volumes"] == ours.spec["volumes"]
    assert theirs.spec["securityContext"] == ours.spec["securityContext"]
    assert theirs.labels == ours.labels


# Names that lead to one another


def test_every_selector_selects_its_own_pods(resources: list[Resource]) -> None:
    """Each Service, budget and workload selects the pods of exactly one workload."""
    for each in resources:
        selector = each.get("spec", {}).get("selector")
        if each["kind"] in ("Service", "PodDisruptionBudget", "Deployment", "StatefulSet"):
            wanted = selector if "matchLabels" in selector else {"matchLabels": selector}
            hit = [one.owner for one in pods(resources) if selects(wanted, one.labels)]
            assert len(hit) == 1, f"{_identity(each)} selects {hit}"
            if each["kind"] in ("Deployment", "StatefulSet"):
                assert hit == [" ".join(_identity(each))]


def test_every_port_of_a_service_is_one_of_its_pods(resources: list[Resource]) -> None:
    """A Service leads to ports that its pods have, under the same number: headless ones know no other."""
    for each in (each for each in resources if each["kind"] == "Service"):
        (one,) = (one for one in pods(resources) if selects({"matchLabels": each["spec"]["selector"]}, one.labels))
        for port in each["spec"]["ports"]:
            assert one.ports[port["targetPort"]] == port["port"], each["metadata"]["name"]


def test_every_address_is_a_service(resources: list[Resource]) -> None:
    """Each address in the settings of a pod is a Service here, with that port."""
    known = {
        f"{each['metadata']['name']}:{port['port']}"
        for each in resources
        if each["kind"] == "Service"
        for port in each["spec"]["ports"]
    }
    used = {
        value.split("/")[2]
        for each in pods(resources)
        for value in environment(each, resources).values()
        if value.startswith("http://")
    }
    assert used == {
        "torchserve:8080",
        "torchserve-management:8080",
        "torchserve-management:8081",
        "gateway-pods:8000",
        "keeper:8070",
    }
    assert used <= known


@pytest.mark.parametrize(("service", "not_ready_too"), [("torchserve-management", True), ("gateway-pods", False)])
def test_a_release_reaches_each_pod(cpu: list[Resource], service: str, not_ready_too: bool) -> None:
    """Names that releases use stand for every pod; a TorchServe is reached before it is ready, or it would never be."""
    spec = named(cpu, "Service", service)["spec"]
    assert spec["clusterIP"] == "None"
    assert spec.get("publishNotReadyAddresses", False) is not_ready_too


def test_the_record_can_be_read_while_the_keeper_is_not_ready(cpu: list[Resource]) -> None:
    """The keeper is not ready while a TorchServe loads; gateways follow the record all the same."""
    assert named(cpu, "Service", "keeper")["spec"]["publishNotReadyAddresses"] is True


def test_every_autoscaler_has_its_workload_to_itself(resources: list[Resource]) -> None:
    """What an autoscaler scales exists, and its file does not set the number of pods back at each apply."""
    for each in resources:
        if each["kind"] in ("HorizontalPodAutoscaler", "ScaledObject"):
            target = each["spec"]["scaleTargetRef"]
            assert "replicas" not in named(resources, target["kind"], target["name"])["spec"]


def test_the_queue_is_measured_by_what_torchserve_counts(everything: Path) -> None:
    """The query of KEDA divides two counters that the installed TorchServe has."""
    counters = {
        each["name"]
        for each in yaml.safe_load((files("ts") / "configs" / "metrics.yaml").read_text())["ts_metrics"]["counter"]
    }
    (trigger,) = named(build(everything), "ScaledObject", "torchserve")["spec"]["triggers"]
    used = {
        word.split("{")[0] for word in trigger["metadata"]["query"].replace("(", " ").split() if word.startswith("ts_")
    }
    assert used == {"ts_queue_latency_microseconds", "ts_inference_requests_total"}
    assert used <= counters
    assert trigger["metricType"] == "Value", "a mean is not to be divided by the number of pods"


def test_metrics_are_read_once_from_each_pod(everything: Path) -> None:
    """One Service with a port that is read leads to each of the three programs with metrics."""
    made = build(everything)
    monitor = named(made, "ServiceMonitor", "fraud")["spec"]
    read = {each["port"] for each in monitor["endpoints"]}
    found = [
        (each["spec"]["selector"]["app.kubernetes.io/name"], port["port"])
        for each in made
        if each["kind"] == "Service" and selects(monitor["selector"], each["metadata"].get("labels", {}))
        for port in each["spec"]["ports"]
        if port["name"] in read
    ]
    assert sorted(found) == [("gateway", 8000), ("keeper", 8070), ("torchserve", 8082)]


def test_jobs_are_called_as_rules_and_dashboard_read_them(everything: Path) -> None:
    """The operator calls a job by the Service's label that the monitor names; the pods have the same."""
    made = build(everything)
    monitor = named(made, "ServiceMonitor", "fraud")["spec"]
    services = [
        each
        for each in made
        if each["kind"] == "Service" and selects(monitor["selector"], each["metadata"].get("labels", {}))
    ]
    called = {each["metadata"]["labels"][monitor["jobLabel"]] for each in services}
    read = {
        job
        for file in ("rules.yml", "grafana/fraud.json")
        for job in re.findall(r'\bjob=\\?"([^"\\]+)', (MONITORING / file).read_text())
    }
    assert called == read
    for each in services:
        assert each["spec"]["selector"][monitor["jobLabel"]] == each["metadata"]["labels"][monitor["jobLabel"]]


def test_the_rules_can_be_applied_as_the_page_says() -> None:
    """The command of docs/kubernetes.md makes a PrometheusRule with the groups of rules.yml."""
    (command,) = re.findall(r"^\(printf .*?(?=\\\n  \| kubectl)", KUBERNETES_PAGE, re.MULTILINE | re.DOTALL)
    made = subprocess.run(["sh", "-c", command.strip()], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert yaml.safe_load(made) == {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "fraud"},
        "spec": yaml.safe_load((MONITORING / "rules.yml").read_text()),
    }


def test_the_ingress_leads_callers_to_the_gateway(everything: Path) -> None:
    """The Ingress publishes what callers need, by TLS, and neither metrics nor probes."""
    made = build(everything)
    spec = named(made, "Ingress", "gateway")["spec"]
    (rule,) = spec["rules"]
    assert {path["path"] for path in rule["http"]["paths"]} == {"/upload", "/predict/batch", "/v1", "/health"}
    for path in rule["http"]["paths"]:
        service = path["backend"]["service"]
        ports = {port["name"] for port in named(made, "Service", service["name"])["spec"]["ports"]}
        assert service["port"]["name"] in ports
    assert spec["tls"][0]["hosts"] == [rule["host"]]


# The network


STRANGERS = (
    Party("a pod without labels"),
    Party("a pod elsewhere", {"role": "release", "app.kubernetes.io/name": "gateway"}, "elsewhere"),
    Party("ingress", {}, "ingress-nginx"),
    Party("prometheus", {}, "monitoring"),
    Party("dns", {"k8s-app": "kube-dns"}, "kube-system", ports=(53,)),
    Party("internet", {}, None, "93.184.216.34", (80, 443)),
    Party("metadata", {}, None, "169.254.169.254", (80, 443)),
)
OPEN = {
    ("ingress", "gateway", 8000),
    ("gateway", "torchserve", 8080),
    ("gateway", "keeper", 8070),
    ("gateway", "redis", 6379),
    ("gateway", "dns", 53),
    ("prometheus", "gateway", 8000),
    ("prometheus", "torchserve", 8082),
    ("prometheus", "keeper", 8070),
    *((one, *way) for one in ("keeper", "job") for way in (
        ("torchserve", 8080), ("torchserve", 8081), ("gateway", 8000), ("redis", 6379), ("dns", 53)
    )),
}  # fmt: skip
"""Every way that is meant to be open, and no other is."""


def parties(resources: Sequence[Resource]) -> list[Party]:
    """One for each kind of pod, and strangers."""
    own = {
        each.labels["app.kubernetes.io/name"]: Party(
            each.labels["app.kubernetes.io/name"], each.labels, ports=tuple(each.ports.values())
        )
        for each in pods(resources)
    }
    return [*own.values(), *STRANGERS]


def test_only_the_ways_that_are_needed_are_open(directory: Path, resources: list[Resource]) -> None:
    """Nobody reaches anything but what is listed: management only the keeper and jobs, and nothing the internet."""
    outer_env = {(one, "internet", 443) for one in ("keeper", "job")} if "everything" in directory.name else set()
    assert reach(resources, parties(resources)) == OPEN | outer_env


def test_management_is_for_releases_alone(resources: list[Resource]) -> None:
    """The label that opens the management port is on the keeper's pod and the jobs', and on no other."""
    releasing = {each.owner for each in pods(resources) if each.labels.get("role") == "release"}
    jobs = {f"CronJob {name}" for name in names(resources, "CronJob")}
    assert releasing == {"Deployment keeper", *jobs}


@pytest.mark.parametrize("left_out", ["default-deny", "torchserve", "release", "gateway"])
def test_a_policy_that_is_missing_is_noticed(cpu: list[Resource], left_out: str) -> None:
    """Without one of the policies other ways are open, or needed ones closed."""
    rest = [each for each in cpu if _identity(each) != ("NetworkPolicy", left_out)]
    assert reach(rest, parties(cpu)) != OPEN


def test_every_pod_is_denied_all_else(cpu: list[Resource]) -> None:
    """The rule that closes everything is about every pod, in both directions."""
    spec = named(cpu, "NetworkPolicy", "default-deny")["spec"]
    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


# Secrets


def test_new_secrets_differ_each_time(secrets: Mapping[str, Mapping[str, str]]) -> None:
    """Two installations share no secret; each is long, and the program is told the one that it must use."""
    again = subprocess.run([HERE / "secrets"], check=True, capture_output=True, text=True).stdout
    key = secrets["fraud-secrets"]["api-key"]
    assert len(key) == 48
    assert key not in again
    password = secrets["fraud-secrets"]["redis-url"].split(":")[2].split("@")[0]
    assert f">{password} " in secrets["redis-acl"]["users.acl"]
    assert password not in again
    history_key = secrets["fraud-secrets"]["history-key"]
    assert len(history_key) == 48
    assert history_key not in again


@pytest.fixture
def of_kubernetes(secrets: dict[str, dict[str, str]]) -> tuple[str, str]:
    """The users of Redis, and the address of ours, as the secrets have them."""
    return secrets["redis-acl"]["users.acl"], secrets["fraud-secrets"]["redis-url"]


@pytest.fixture
def of_compose(tmp_path: Path) -> tuple[str, str]:
    """The same as the first service of docker-compose.yml makes them."""
    volumes = prepared(tmp_path / "srv")
    return (volumes / "redis-secrets/users.acl").read_text(), (volumes / "redis-secrets/url").read_text().strip()


@pytest.fixture(params=["of_kubernetes", "of_compose"])
def redis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Redis]:
    """A Valkey with those users, seen with that address."""
    users, address = request.getfixturevalue(request.param)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    acl = tmp_path / "acl"
    acl.write_text(users)
    (tmp_path / "conf").write_text(f"bind 127.0.0.1\nport {port}\ndir {tmp_path}\naclfile {acl}\n")
    url = address.replace("redis:6379", f"127.0.0.1:{port}")
    with subprocess.Popen(valkey.command(tmp_path / "conf"), stdout=subprocess.DEVNULL) as process:
        with Redis.from_url(url, decode_responses=True, socket_timeout=5.0, retry=None) as client:
            until = time.monotonic() + WAIT_SECONDS
            while not _answers(client):
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.02)
            yield client
        process.kill()


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except (RedisError, OSError):
        return False


def address_of(redis: Redis) -> str:
    """Where it is, with its user and password."""
    where = redis.connection_pool.connection_kwargs
    return f"redis://{where['username']}:{where['password']}@{where['host']}:{where['port']}/0"


def test_redis_lets_gateways_count_and_nothing_else(redis: Redis) -> None:
    """The user of the address may do anything with keys of our names, and nothing with others or with the server."""
    key = trial_key(Trial(TrialKind.CANARY, 2, 0.05, "now"))
    redis.hset(f"{key}:a", mapping={"live requests": 3})
    redis.sadd(key, "a")
    redis.expire(key, 60)
    assert redis.smembers(key) == {"a"}
    assert redis.hgetall(f"{key}:a") == {"live requests": "3"}
    add = "return redis.call('INCR', KEYS[1])"
    sha = redis.execute_command("SCRIPT LOAD", add)  # type: ignore[no-untyped-call]
    assert redis.execute_command("EVAL", add, 1, "fraud:n") == 1  # type: ignore[no-untyped-call]
    assert redis.execute_command("EVALSHA", sha, 1, "fraud:n") == 2  # type: ignore[no-untyped-call]
    for refused in ("FLUSHALL", "CONFIG GET *", "KEYS *", "GET another", "ACL LIST", "SCRIPT FLUSH", "FUNCTION FLUSH"):
        with pytest.raises(NoPermissionError):
            redis.execute_command(*refused.split())  # type: ignore[no-untyped-call]
    for script in ("return redis.call('GET', 'another')", "return redis.call('FLUSHALL')"):
        with pytest.raises(ResponseError, match=r"can't|[Pp]ermission"):
            redis.execute_command("EVAL", script, 0)  # type: ignore[no-untyped-call]


def test_redis_lets_gateways_remember(redis: Redis) -> None:
    """Small and large requests, their repeats, journals that another left, and labels."""
    with Redis(**{**redis.connection_pool.connection_kwargs, "decode_responses": False}) as client:
        serving = Served(plan_of((COUNT,)), client)
        rows = [row(float(second), name=str(second)) for second in range(SMALL_BATCH_ROWS + 1)]
        for some in (rows[:1], rows, rows):
            assert serving.enter(some)[COUNT.name] == [float(place) for place in range(len(some))]
        assert serving.script(RECOVER, int(time.time()) + 2) == 1
        assert serving.label(Label("1", fraud=True, confirmed=START))


def test_redis_lets_a_gateway_serve_with_history(redis: Redis, tmp_path: Path) -> None:
    """A whole gateway with no more rights than these: it waits for a past that is loaded, then lacks nothing."""
    server = history_server(tmp_path)
    url, text = address_of(redis), "\n".join([HEADER, line("1"), ""])

    async def load_before(gateway: Gateway) -> None:
        async with loading_lease.hold_lease(url):
            await asyncio.to_thread(gateway.until_it_is, "history_loading")

    redis.set(LOADING, "1", ex=LOADING_LEASE_SECONDS)
    redis.set(EPOCH, Epoch.new(0.0, lost=False).to_bytes())
    with closing(Gateway(tmp_path, server, REDIS_URL=url, HISTORY_KEY=HISTORY_KEY)) as gateway:
        asyncio.run(load_before(gateway))
        gateway.until_it_is("ready")
        with httpx.Client(base_url=gateway.url, headers=API_KEY, trust_env=False, timeout=WAIT_SECONDS) as client:
            assert client.get("/health").json()["components"]["history"]["reason"] is None
            answer = client.post("/upload", content=text, headers={"content-type": "text/csv"}).json()
            assert "degraded" not in answer
            assert client.post("/v1/labels", json=[{"transaction_id": "1", "fraud": True}]).json()["accepted"] == 1


def test_redis_lets_its_digests_be_brought_to_another_key(redis: Redis) -> None:
    """Those of a release without one: it is seen that there are some, and all are moved."""
    redis.set("fraud:t:0123456789abcdef", "a record", ex=60)
    assert rekey(address_of(redis), KEY, lambda _: None).moved == 1
    assert redis.get("fraud:key") == KEY.check.decode()


def test_both_platforms_give_the_same_rights(of_kubernetes: tuple[str, str], of_compose: tuple[str, str]) -> None:
    """What works in compose works in a cluster: the user `fraud` differs in its password alone."""
    rights = [
        re.findall(r"^user fraud on [>#]\S+ (.+)$", users, re.MULTILINE) for users, _ in (of_kubernetes, of_compose)
    ]
    assert len(rights[0]) == 1
    assert rights[0] == rights[1]
