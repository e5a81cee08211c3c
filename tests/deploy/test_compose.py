"""The rules of docker-compose.yml that can be read off it; `make docker-test` shows them on the running stack."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings import GatewaySettings
from operations.backups.backup_parts import SETTINGS
from tests.deploy.compose_volumes import VOLUMES, prepared

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
WITH_A_WAY_OUT = {"front", "egress"}
MAY_RELEASE = {"keeper", "schedule", "fraud"}
MAY_LEAVE = {"entry", "prometheus", "grafana", *MAY_RELEASE}


def settings(file: str) -> dict[str, str]:
    """What a file of settings sets."""
    lines = [line for line in (ROOT / file).read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def networks(service: str) -> set[str]:
    """The networks that a service is on."""
    return set(SERVICES[service].get("networks", ()))


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_confined(service: str) -> None:
    """No service keeps a capability, gains one, writes its own files, or takes memory and processes without bound."""
    found = SERVICES[service]
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["read_only"] is True
    assert found["mem_limit"]
    assert found["pids_limit"]
    assert "privileged" not in found


def test_only_the_entry_and_the_monitoring_are_published() -> None:
    """Without an address in the settings nothing is open beyond this machine."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.keys() == {"entry", "prometheus", "grafana"}
    assert published["entry"] == ["${ADDRESS:-127.0.0.1}:${PORT:-8000}:8000"]
    assert all(port.startswith("127.0.0.1:") for name in ("prometheus", "grafana") for port in published[name])


def test_networks_have_no_way_out_but_two() -> None:
    """What is not meant to leave the machine is on internal networks alone."""
    inward = {name for name, network in COMPOSE["networks"].items() if network.get("internal")}
    assert COMPOSE["networks"].keys() - inward == WITH_A_WAY_OUT
    assert {name for name in SERVICES if networks(name) & WITH_A_WAY_OUT} == MAY_LEAVE


def test_only_who_releases_is_on_the_network_of_management() -> None:
    """Beside TorchServe itself, only the keeper and the jobs can reach what executes code."""
    on_it = {name for name in SERVICES if "management" in networks(name)}
    assert on_it == {"torchserve", "torchserve-gpu", *MAY_RELEASE}


@pytest.mark.parametrize("service", ["torchserve", "torchserve-gpu"])
def test_each_port_of_torchserve_is_on_one_network(service: str) -> None:
    """The names that TorchServe listens on are aliases on one network each."""
    found = SERVICES[service]
    aliases = {alias: network for network, each in found["networks"].items() for alias in each["aliases"]}
    assert aliases[found["environment"]["MANAGEMENT_HOST"]] == "management"
    assert aliases[found["environment"]["INFERENCE_HOST"]] == "inference"
    assert aliases[found["environment"]["METRICS_HOST"]] == "monitoring"


@pytest.mark.parametrize("service", ["gateway", "torchserve", "torchserve-gpu"])
def test_who_serves_cannot_write_models(service: str) -> None:
    """The model store is mounted read-only where requests arrive."""
    mounts = [mount for mount in SERVICES[service]["volumes"] if "/srv/model_store" in mount]
    assert mounts == ["model-store:/srv/model_store:ro,nocopy"]


@pytest.mark.parametrize("service", ["torchserve", "torchserve-gpu"])
def test_torchserve_loads_what_releases_have_verified(service: str) -> None:
    """TorchServe and those who release see one directory of verified copies; TorchServe only reads it."""
    assert "verified:/srv/verified:ro,nocopy" in SERVICES[service]["volumes"]
    assert "VERIFIED_PATH=/srv/verified" in (ROOT / "Dockerfile.torchserve").read_text()
    for name in MAY_RELEASE:
        assert "verified:/srv/verified:nocopy" in [mount.split("  #")[0] for mount in SERVICES[name]["volumes"]]


def test_training_cannot_write_what_was_verified() -> None:
    """Who trains on foreign data writes into the model store, and cannot change an archive after it was verified."""
    train = SERVICES["train"]
    assert "model-store:/srv/model_store:nocopy" in train["volumes"]
    assert not [mount for mount in train["volumes"] if "verified" in mount]


def test_training_sees_no_network_and_no_secret() -> None:
    """Whoever's file is read by training cannot send anything anywhere."""
    train = SERVICES["train"]
    assert train["network_mode"] == "none"
    assert not train["secrets"]
    assert not any("redis" in mount for mount in train["volumes"])


def test_a_release_judges_by_what_the_gateways_decide_by() -> None:
    """Thresholds and deadlines are the same for those who serve and for those who release."""
    shared = ("REVIEW_THRESHOLD", "DECLINE_THRESHOLD", "DEADLINE_SECONDS")
    for name in MAY_RELEASE:
        for variable in shared:
            assert SERVICES[name]["environment"][variable] == SERVICES["gateway"]["environment"][variable]


def test_every_variable_is_documented_with_its_default() -> None:
    """deploy/compose/settings.env lists what may be set, images.env the images, each with the default of the stack."""
    documented = settings("deploy/compose/settings.env") | settings("locks/images.env")
    used = dict(VARIABLE.findall(TEXT))
    from_the_environment = {name for name in used if name.startswith("AWS_")}
    assert used.keys() - from_the_environment == documented.keys()
    assert {name: used[name] for name in documented} == documented


def test_no_secret_is_a_variable_of_a_container() -> None:
    """Keys and passwords of ours are files; only S3's own variables hold secrets, as every S3 client reads them."""
    for service in SERVICES.values():
        names = set(service.get("environment", ()))
        secret = {name for name in names if re.search("KEY|PASSWORD|SECRET|TOKEN|_URL$", name)}
        ours = {name for name in secret if not name.startswith("AWS_") and not name.endswith(("_FILE", "__FILE"))}
        addresses = {"MODEL_SERVER_URL", "MANAGEMENT_URL", "INFERENCE_URL", "GATEWAY_URL"}
        assert ours <= addresses | {"MODEL_VERIFY_KEY", "MODEL_SIGNING_KEY"}  # These name files.


def test_who_trains_can_sign_what_it_must_show_signed() -> None:
    """Keeper and schedule train too: with a demanded signature, what they train must be signed."""
    for name in (*MAY_RELEASE, "train"):
        assert "MODEL_SIGNING_KEY" in SERVICES[name]["environment"]
    assert all("MODEL_VERIFY_KEY" in SERVICES[name]["environment"] for name in MAY_RELEASE)


def test_every_setting_reaches_the_program_that_reads_it() -> None:
    """What a deployment may set reaches a container, or the stack itself decides it."""
    decided = {
        "MODEL_PATH",
        "VERIFIED_PATH",
        "HOST",
        "PORT",
        "MODEL_NAME",
        "LOG_STREAM",
        "LOG_FILE",
        "KEEPER_PORT",
        "REDIS_MEMORY",  # On Valkey's command line.
    }
    of_the_gateway = {name.upper() for name in GatewaySettings.model_fields}
    assert "GATEWAY_SETTINGS" in SERVICES["gateway"]["env_file"][0]
    passed = {name for service in SERVICES.values() for name in service.get("environment", ())}
    assert set(SETTINGS) - passed - of_the_gateway <= decided | {"CUDA_VISIBLE_DEVICES", "SCHEDULE"}


def test_what_lies_in_a_volume_is_its_owner_s_alone(tmp_path: Path) -> None:
    """Nobody else passes into a volume, but for how jobs ended; what is made there is private by itself."""
    volumes = prepared(tmp_path)
    modes = {each.relative_to(volumes).as_posix(): each.stat().st_mode & 0o777 for each in volumes.rglob("*")}
    files = {"redis-secrets/url", "redis-secrets/users.acl", "history-key/key"}
    assert modes == dict.fromkeys(VOLUMES, 0o700) | {"var": 0o711} | dict.fromkeys(files, 0o600)


def test_volumes_belong_to_whom_the_first_service_gives_them() -> None:
    """No other image's directory changes the owner or the mode of a volume that is still empty."""
    made = {mount.split(":")[0] for mount in SERVICES["prepare"]["volumes"]} - {"./deploy/compose/prepare.sh"}
    assert len(made) == len(VOLUMES)
    for service in SERVICES.keys() - {"prepare"}:
        for mount in SERVICES[service].get("volumes", ()):
            if mount.split(":")[0] in made:
                assert "nocopy" in mount.split(":")[-1].split(","), (service, mount)
