import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from environment import secret_files
from gateway.settings import DRAIN_SECONDS, GatewaySettings
from operations import settings
from operations.torchserve import container
from tests.deploy import documented

ROOT = Path(__file__).parents[2]
BLUEPRINT = ROOT / "render.yaml"
SCHEMAS = [Path(__file__).parent / "schemas" / "render.yaml.schema.json"]
"""Ours, and Render's own where RENDER_SCHEMA names a copy."""
SCHEMAS += [Path(path) for path in [os.environ.get("RENDER_SCHEMA")] if path]

PROPERTIES = {"web": {"host", "port", "hostport"}, "pserv": {"host", "port", "hostport"}}
PROPERTIES["keyvalue"] = {"host", "port", "connectionString"}
HANDED_ON = {"MODELS_HOST", "GATEWAYS_HOST"}
"""Hosts of which on-render makes addresses."""
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|REDIS_URL|ALERT_URL")
SHELL = re.compile(r"[|&;<>()$`\\\"'*?~]")


def blueprint() -> dict[str, Any]:
    """The Blueprint as Render reads it."""
    loaded: dict[str, Any] = yaml.safe_load(BLUEPRINT.read_text())
    return loaded


def service(name: str) -> dict[str, Any]:
    """The service of that name."""
    found: dict[str, Any] = next(each for each in blueprint()["services"] if each["name"] == name)
    return found


def variables() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each variable with the name of its service or group."""
    for holder in [*blueprint()["services"], *blueprint()["envVarGroups"]]:
        for variable in holder.get("envVars", []):
            yield holder["name"], variable


def values(name: str) -> dict[str, str]:
    """The plain values that a service is given, as its environment has them."""
    return {each["key"]: str(each["value"]) for each in service(name)["envVars"] if "value" in each}


def dockerfile(name: str) -> str:
    """The Dockerfile that a service is built from."""
    return (ROOT / str(service(name)["dockerfilePath"])).read_text()


def exposed(name: str) -> set[int]:
    """The ports that the last stage of its Dockerfile exposes."""
    last = re.split(r"^FROM ", dockerfile(name), flags=re.MULTILINE)[-1]
    return {int(port) for line in re.findall(r"^EXPOSE (.+)$", last, re.MULTILINE) for port in line.split()}


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda path: path.name)
def test_the_blueprint_validates(schema: Path) -> None:
    """render.yaml holds only what the schema of Blueprints knows, in the types that it wants."""
    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text()))
    assert [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(blueprint())] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("healthCheckPath: /livez", "healthPath: /livez"),
        ("healthCheckPath: /livez", "healthCheckPath: livez"),
        ("type: pserv\n", "type: private\n"),
        ("plan: 2c-4g", "plan: huge"),
        ("region: oregon", "region: moon"),
        ("    runtime: docker\n", ""),
        ("maxShutdownDelaySeconds: 30", "maxShutdownDelaySeconds: 301"),
        ('autoDeployTrigger: "off"', "autoDeployTrigger: off"),
        ("sizeGB: 5", "sizeGB: 5GB"),
        ("ipAllowList: []", ""),
        ("maxmemoryPolicy: noeviction", "maxmemoryPolicy: none"),
        ("property: connectionString", "property: url"),
        ("generateValue: true", "generateValue: true\n        value: also"),
        ("generateValue: true\n", "sync: false\n"),
    ],
)
def test_the_schema_refuses_what_render_refuses(old: str, new: str) -> None:
    """The check of the Blueprint fails on each of these mistakes, so it is one."""
    text = BLUEPRINT.read_text()
    assert old in text
    # The last place, which for generateValue is the group: Render ignores `sync: false` there.
    mistaken = yaml.safe_load(new.join(text.rsplit(old, 1)))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json.loads(SCHEMAS[0].read_text())).validate(mistaken)


def test_names_are_used_once() -> None:
    """No two services and no two variables of one service have a name in common."""
    names = [each["name"] for each in blueprint()["services"]]
    assert len(names) == len(set(names))
    keys = [(holder, variable["key"]) for holder, variable in variables() if "key" in variable]
    assert len(keys) == len(set(keys))


def test_references_name_what_exists() -> None:
    """Each fromService and fromGroup names a service, its type, and something that it has."""
    kinds = {each["name"]: each["type"] for each in blueprint()["services"]}
    groups = {each["name"] for each in blueprint()["envVarGroups"]}
    for holder, variable in variables():
        if (group := variable.get("fromGroup")) is not None:
            assert group in groups, holder
        if (reference := variable.get("fromService")) is not None:
            assert kinds.get(reference["name"]) == reference["type"], (holder, variable)
            if "property" in reference:
                assert reference["property"] in PROPERTIES[reference["type"]], (holder, variable)
            else:
                own = {each.get("key") for each in service(reference["name"])["envVars"]}
                assert reference["envVarKey"] in own, (holder, variable)  # Render may refuse one that it sets itself.


def test_everything_is_in_one_region() -> None:
    """Services of two regions share no private network."""
    assert len({each["region"] for each in blueprint()["services"]}) == 1


def test_images_are_built_from_files_that_are_there() -> None:
    """Each Dockerfile exists in its repository, and each path that a build waits for matches something."""
    for each in blueprint()["services"]:
        if each.get("runtime") == "docker":
            assert (ROOT / each["dockerfilePath"]).is_file(), each["name"]
            assert (ROOT / each["dockerContext"]).is_dir(), each["name"]
            assert each["dockerfilePath"].removeprefix("./") in each["buildFilter"]["paths"]
            for path in each["buildFilter"]["paths"]:
                assert any(ROOT.glob(path)), (each["name"], path)


def test_a_change_of_what_is_copied_builds_anew() -> None:
    """Each file that a Dockerfile copies is a path that its service's build waits for."""
    for each in blueprint()["services"]:
        if each.get("runtime") != "docker":
            continue
        context = Path(each["dockerContext"])
        copied = [
            str(context / source)
            for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile(each["name"]), re.MULTILINE)
            for source in line.split()
        ]
        assert copied
        watched = [path.removesuffix("/**") for path in each["buildFilter"]["paths"]]
        for source in set(copied) - {"LICENSE"}:
            assert any(Path(source).is_relative_to(path) for path in watched), (each["name"], source)


def test_commands_need_no_shell() -> None:
    """Render splits a command at its blanks, and what means something to a shell would be handed on as it stands."""
    commands = [each["dockerCommand"] for each in blueprint()["services"] if "dockerCommand" in each]
    assert len(commands) == 2
    assert [command for command in commands if SHELL.search(command)] == []


def test_the_keeper_runs_the_scheduled_jobs() -> None:
    """A cron of Render would not reach the disk: there is none, and the keeper runs operations/crontab."""
    assert "--with-schedule" in service("fraud-models")["dockerCommand"].split()
    assert [each["name"] for each in blueprint()["services"] if each["type"] == "cron"] == []


def test_no_secret_stands_in_it() -> None:
    """What is secret is made by Render, asked of a person or taken from a service, and never written here."""
    held = {variable["key"] for _, variable in variables() if "value" in variable}
    assert [key for key in held if SECRET.search(key)] == []
    assert re.search(r"://[^/\s]*@", BLUEPRINT.read_text()) is None
    made = {variable["key"] for _, variable in variables() if variable.get("generateValue")}
    assert made == {"API_KEY", "HISTORY_KEY"}


def test_a_disk_is_used_as_render_has_it() -> None:
    """A service with a disk is one instance, and Render refuses a time to end for it."""
    models = service("fraud-models")
    assert {"numInstances", "scaling", "maxShutdownDelaySeconds", "preDeployCommand"} & models.keys() == set()
    assert [each["name"] for each in blueprint()["services"] if "disk" in each] == ["fraud-models"]


def test_the_store_lies_on_the_disk() -> None:
    """The disk is the working directory of the image, and the model store lies on it."""
    disk = service("fraud-models")["disk"]["mountPath"]
    assert re.findall(r"^WORKDIR (.+)$", dockerfile("fraud-models"), re.MULTILINE)[-1] == disk
    assert Path(values("fraud-models")["MODEL_PATH"]).is_relative_to(disk)
    assert f"disk=${{RENDER_DISK:-{disk}}}" in (ROOT / "deploy" / "render" / "on-render").read_text()


def test_management_stays_in_its_container() -> None:
    """Whoever reaches the management port may run code: of TorchServe's ports, inference alone leaves the container."""
    given = values("fraud-models")
    hosts = {name: given[name] for name in ("INFERENCE_HOST", "MANAGEMENT_HOST", "METRICS_HOST")}
    assert hosts == {"INFERENCE_HOST": "0.0.0.0", "MANAGEMENT_HOST": "127.0.0.1", "METRICS_HOST": "127.0.0.1"}  # noqa: S104
    assert given["MANAGEMENT_URL"] == f"http://127.0.0.1:{container.PORTS.management}"
    assert given["INFERENCE_URL"] == f"http://127.0.0.1:{container.PORTS.inference}"


def test_the_keeper_reads_its_variables() -> None:
    """The keeper starts with them: the store is on the disk, and its page is open to the gateway."""
    keeper = settings.keeper_settings(values("fraud-models"), Path("/srv"), with_torchserve=True)
    assert (keeper.host, keeper.paths.store, keeper.workers) == ("0.0.0.0", Path("/srv/model_store"), 2)  # noqa: S104
    assert f":{keeper.port}/release.json" in (ROOT / "deploy" / "render" / "on-render").read_text()


def test_ports_are_those_of_the_images() -> None:
    """What one service asks of another is exposed by its image, and is the port that its program listens on."""
    text = (ROOT / "deploy" / "render" / "on-render").read_text()
    addresses = dict(re.findall(r'(\w+)="(?:\$\{\w+:-)?http://\$[\w-]+:(\d+)', text))
    inference, page, port = (int(addresses[name]) for name in ("MODEL_SERVER_URL", "RELEASE_RECORD", "GATEWAY_URL"))
    assert inference == container.PORTS.inference
    assert {inference, page} <= exposed("fraud-models")
    assert port == int(values("fraud-gateway")["PORT"])
    assert port in exposed("fraud-gateway")
    assert page == settings.KEEPER_PORT


def test_the_gateway_knows_its_variables() -> None:
    """Each variable of the gateway is a setting of it, or a host of which on-render makes one."""
    keys = {variable["key"] for holder, variable in variables() if holder == "fraud-gateway" and "key" in variable}
    assert keys - HANDED_ON <= {name.upper() for name in GatewaySettings.model_fields}
    assert {"HOST", "API_KEY", "MODELS_HOST"} <= keys


def test_every_setting_of_our_pages_can_be_set() -> None:
    """Each is in render.yaml, or in the table of docs/deploy-render.md beside a service or group that there is."""
    table = documented.places("deploy-render")
    holders = {each["name"] for each in [*blueprint()["services"], *blueprint()["envVarGroups"]]}
    assert table.keys() <= holders
    given = {variable["key"] for _, variable in variables() if "key" in variable}
    given |= {"MODEL_SERVER_URL", "RELEASE_RECORD", "GATEWAY_URL"}  # on-render makes them.
    assert documented.settings() - {f"{name}_FILE" for name in secret_files.NAMES} <= given.union(*table.values())


def test_what_both_must_agree_on_is_written_once() -> None:
    """The deadline of a request reaches the gateway and the keeper from one group, and neither sets it for itself."""
    (shared,) = (each for each in blueprint()["envVarGroups"] if each["name"] == "fraud-shared")
    given = {each["key"]: str(each["value"]) for each in shared["envVars"]}
    assert "DEADLINE_SECONDS" in given
    for name in ("fraud-gateway", "fraud-models"):
        assert {"fromGroup": "fraud-shared"} in service(name)["envVars"]
        assert not given.keys() & values(name).keys()


def test_the_gateway_ends_within_its_time() -> None:
    """Render waits longer than the gateway drains."""
    assert service("fraud-gateway")["maxShutdownDelaySeconds"] > DRAIN_SECONDS


def test_readiness_restarts_nothing() -> None:
    """Render restarts what fails its health check for a minute; that mends no absent model server."""
    assert service("fraud-gateway")["healthCheckPath"] == "/livez"


def test_images_hold_the_program_that_starts_them() -> None:
    """on-render is copied into each image whose command begins with it, and may be executed."""
    assert os.access(ROOT / "deploy" / "render" / "on-render", os.X_OK)
    for each in blueprint()["services"]:
        if each.get("dockerCommand", "").startswith("on-render "):
            assert "COPY deploy/render/on-render /usr/local/bin/on-render" in dockerfile(each["name"]), each["name"]


def test_the_disk_can_be_handed_over() -> None:
    """The image is built to start as root on Render: its Dockerfile takes the user from the variable."""
    last = re.split(r"^FROM ", dockerfile("fraud-models"), flags=re.MULTILINE)[-1]
    assert values("fraud-models")["CONTAINER_USER"] == "0:0"
    assert re.search(r"^ARG CONTAINER_USER=10001:10001\n(.*\n)*?USER \$\{CONTAINER_USER\}$", last, re.MULTILINE)
