"""Settings and ports: what `fraud up` finds out before it starts anything."""

import socket
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from environment import secret_files
from gateway.settings import GatewaySettings
from operations import settings
from operations.errors import OperationsError
from operations.local.programs import free_ports, reachable, refuse_used_port
from operations.settings import StackSettings
from operations.store.registry import Registry
from tests.keys import HISTORY_KEY


def read(root: Path, **env: str) -> StackSettings:
    """The settings of a run in a directory with this environment."""
    return settings.stack_settings("127.0.0.1", 8000, env, root)


def test_everything_has_a_default(tmp_path: Path) -> None:
    """Without any variable the key is the known one and the store stands in the directory."""
    found = read(tmp_path)
    assert found.is_default_key
    assert found.paths.store == tmp_path / "model_store"
    assert (found.redis_url, found.version, found.workers) == (None, None, 2)


def test_empty_variables_are_unset(tmp_path: Path) -> None:
    """A variable that is set to nothing, as Makefiles do, counts as unset."""
    found, bare = read(tmp_path, API_KEY="", MODEL_PATH="", REDIS_URL="", MODEL_WORKERS=""), read(tmp_path)
    assert (found.api_key, found.paths, found.redis_url) == (bare.api_key, bare.paths, bare.redis_url)


@pytest.mark.parametrize("path", ["model_store", "model_store/verified", "link"])
def test_verified_copies_do_not_lie_in_the_store(tmp_path: Path, path: str) -> None:
    """Whoever may write there could change them after they were verified."""
    (tmp_path / "link").symlink_to(tmp_path / "model_store")
    with pytest.raises(OperationsError, match=r"VERIFIED_PATH=.* lies in the model store"):
        read(tmp_path, VERIFIED_PATH=path)


def test_verified_copies_lie_where_nobody_else_writes(tmp_path: Path) -> None:
    """Unless it is said where, in a directory that is this user's alone."""
    found = read(tmp_path).paths
    found.prepare()
    assert found.verified.is_relative_to(tmp_path / "var" / "run")
    assert found.verified.stat().st_mode & 0o777 == 0o700
    assert read(tmp_path, VERIFIED_PATH="elsewhere").paths.verified == tmp_path / "elsewhere"


@pytest.mark.parametrize("url", ["localhost:6379", "http://user:secret@there", "6379"])
def test_an_address_of_redis_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    """It is told at the start, and not repeated: it may hold a password."""
    with pytest.raises(OperationsError, match="REDIS_URL is no redis://") as refused:
        read(tmp_path, REDIS_URL=url)
    assert "secret" not in str(refused.value)


def test_a_transaction_is_known_as_long_as_the_gateway_has_it() -> None:
    """Without the setting both have the same days; with it too."""
    field = GatewaySettings.model_fields["known_days"]
    assert settings.known_seconds({}) == field.default * 86_400
    assert settings.known_seconds({"KNOWN_DAYS": "1.5"}) == 129_600
    GatewaySettings(api_key=SecretStr("k"), known_days=settings.MAX_KNOWN_DAYS)
    with pytest.raises(ValidationError):
        GatewaySettings(api_key=SecretStr("k"), known_days=settings.MAX_KNOWN_DAYS + 1)


@pytest.mark.parametrize("text", ["0.5", "401", "nan", "a month"])
def test_days_that_the_gateway_does_not_take_are_refused(text: str) -> None:
    """KNOWN_DAYS must mean the same on both sides."""
    with pytest.raises(OperationsError, match="KNOWN_DAYS"):
        settings.known_seconds({"KNOWN_DAYS": text})


@pytest.mark.parametrize(("deadline", "drain"), [(None, 15.0), ("5", 15.0), ("30", 35.0), ("soon", 15.0)])
def test_a_version_is_unloaded_when_no_request_can_be_on_it(tmp_path: Path, deadline: str | None, drain: float) -> None:
    """A gateway with a longer deadline makes an unwanted version wait longer."""
    assert read(tmp_path, **({"DEADLINE_SECONDS": deadline} if deadline else {})).drain == drain


def test_model_path_names_a_store(tmp_path: Path) -> None:
    """MODEL_PATH may be a directory."""
    assert read(tmp_path, MODEL_PATH=str(tmp_path / "elsewhere")).paths.store == tmp_path / "elsewhere"


def test_model_path_names_a_version(tmp_path: Path, registry: Registry) -> None:
    """MODEL_PATH may be one archive of a store: that version is wanted."""
    found = read(tmp_path, MODEL_PATH="model_store/fraud-2.mar")
    assert (found.paths.store, found.version) == (registry.root, 2)


def test_model_path_outside_a_store_is_refused(tmp_path: Path) -> None:
    """An archive that no registry knows is not served: nothing could verify it."""
    with pytest.raises(OperationsError, match="no archive of a model store"):
        read(tmp_path, MODEL_PATH="some.mar")


def test_a_loose_archive_is_refused(tmp_path: Path) -> None:
    """An archive without its entry is told what it lacks."""
    (tmp_path / "loose.mar").touch()
    with pytest.raises(OperationsError, match=r"entry file loose\.json is missing; point MODEL_PATH at a model store"):
        read(tmp_path, MODEL_PATH="loose.mar")


def test_model_path_that_is_some_file_is_refused(tmp_path: Path) -> None:
    """A file that is no archive is no store either."""
    (tmp_path / "notes.txt").touch()
    with pytest.raises(OperationsError, match="neither a directory nor"):
        read(tmp_path, MODEL_PATH="notes.txt")


@pytest.mark.parametrize("workers", ["0", "-1", "two", "65"])
def test_a_senseless_number_of_workers_is_refused(tmp_path: Path, workers: str) -> None:
    """MODEL_WORKERS is a number from 1 to 64."""
    with pytest.raises(OperationsError, match="MODEL_WORKERS"):
        read(tmp_path, MODEL_WORKERS=workers)


@pytest.mark.parametrize(("text", "wanted"), [("", False), ("false", False), ("true", True)])
def test_a_base_model_serves_only_where_it_is_allowed(tmp_path: Path, text: str, *, wanted: bool) -> None:
    """BASE_MODEL is false unless it is set to true."""
    assert read(tmp_path, BASE_MODEL=text).base_model is wanted


@pytest.mark.parametrize("text", ["yes", "1", "True", "tru"])
def test_a_base_model_is_allowed_in_one_way(tmp_path: Path, text: str) -> None:
    """What is neither true nor false is refused: nobody should learn in an outage what it was taken for."""
    with pytest.raises(OperationsError, match="BASE_MODEL is true or false"):
        read(tmp_path, BASE_MODEL=text)


def test_secrets_are_handed_on_to_nobody(tmp_path: Path) -> None:
    """What starts inherits none: the gateway is given the three that it needs, and a training needs none."""
    secrets = {"API_KEY": "a-key", "REDIS_URL": "redis://:secret@there", "ALERT_URL": "https://chat.example/secret"}
    assert set(secret_files.NAMES) == {*secrets, "HISTORY_KEY"}
    found = read(tmp_path, **secrets, HISTORY_KEY=HISTORY_KEY, OTHER="x")
    assert (found.api_key, found.redis_url, found.alert_url) == tuple(secrets.values())
    assert found.redis == {"REDIS_URL": secrets["REDIS_URL"], "HISTORY_KEY": HISTORY_KEY}
    assert found.env == {"OTHER": "x"}
    assert read(tmp_path, ALERT_URL="").alert_url is None


@pytest.mark.parametrize("text", ["chat.example/secret", "ftp://chat.example/secret", "https://", "x", "\x00"])
def test_a_senseless_address_of_alerts_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    """A mistake is told at the start and not when the first alert is lost; the address is a secret all the same."""
    with pytest.raises(OperationsError, match="ALERT_URL is no http") as refused:
        read(tmp_path, ALERT_URL=text)
    assert "secret" not in str(refused.value)


ELSEWHERE = {"MANAGEMENT_URL": "http://torchserve:8081", "INFERENCE_URL": "http://torchserve:8080"}


def test_a_keeper_needs_only_the_servers_addresses(tmp_path: Path) -> None:
    """Its pages are on the loopback, and the servers choose their number of workers."""
    found = settings.keeper_settings(ELSEWHERE, tmp_path)
    assert (found.host, found.port, found.workers) == ("127.0.0.1", 8070, None)
    assert (found.management_url, found.inference_url) == ("http://torchserve:8081", "http://torchserve:8080")
    assert settings.keeper_settings({**ELSEWHERE, "MODEL_WORKERS": "3", "KEEPER_PORT": "8170"}, tmp_path).workers == 3


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize("value", ["", "torchserve:8081", "http://"])
def test_a_keeper_without_an_address_says_what_to_set(tmp_path: Path, name: str, value: str) -> None:
    """One that is missing or none is named."""
    with pytest.raises(OperationsError, match=name):
        settings.keeper_settings({**ELSEWHERE, name: value}, tmp_path)


def test_a_keeper_with_its_own_torchserve_needs_no_address(tmp_path: Path) -> None:
    """It knows where that one is, whatever the environment names."""
    found = settings.keeper_settings(ELSEWHERE, tmp_path, with_torchserve=True)
    assert (found.management_url, found.inference_url) == (None, None)


@pytest.mark.parametrize("port", ["0", "65536", "x", "-1"])
def test_a_keepers_port_is_a_port(tmp_path: Path, port: str) -> None:
    """What is none is told."""
    with pytest.raises(OperationsError, match=f"KEEPER_PORT={port} is no port"):
        settings.keeper_settings({**ELSEWHERE, "KEEPER_PORT": port}, tmp_path)


def test_a_keepers_secrets_are_handed_on_to_nobody(tmp_path: Path) -> None:
    """Neither the address of alerts nor that of Redis reaches a program that it starts."""
    secrets = {"ALERT_URL": "http://chat", "REDIS_URL": "redis://:secret@there"}
    secrets["HISTORY_KEY"] = HISTORY_KEY
    found = settings.keeper_settings(ELSEWHERE | secrets, tmp_path)
    assert found.alert_url == "http://chat"
    assert found.env == ELSEWHERE


@pytest.mark.parametrize("text", ["s3cr3t", "s3cr3t," + "x" * 40])
def test_a_history_key_that_could_be_guessed_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    """At the start, before anything is hashed with it."""
    with pytest.raises(OperationsError, match="HISTORY_KEY: each secret in it needs at least 32") as refused:
        read(tmp_path, HISTORY_KEY=text)
    assert "s3cr3t" not in str(refused.value)


def test_free_ports_differ() -> None:
    """Ports that are found together are different ones."""
    assert len(set(free_ports(20))) == 20


def test_a_taken_port_is_refused_with_advice() -> None:
    """A port that somebody listens on is an error that names another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OperationsError, match="--port"):
            refuse_used_port("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(("host", "called"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]")])  # noqa: S104
def test_every_host_gets_an_address_to_call(host: str, called: str) -> None:
    """A server that listens everywhere is called at this machine."""
    assert reachable(host) == called
