import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

ON_RENDER = Path(__file__).parents[2] / "deploy" / "render" / "on-render"
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
USER = 10001


def started(
    *command: str, user: int | None = None, groups: Sequence[int] | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What a program that on-render starts says."""
    return subprocess.run(
        [str(ON_RENDER), *command],
        env={"PATH": os.environ["PATH"], **environment},
        user=user,
        extra_groups=groups,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk as Render mounts it, with a file that somebody wrote as root."""
    disk = tmp_path / "srv"
    (disk / "model_store").mkdir(parents=True)
    (disk / "model_store" / "release.json").write_text("{}")
    (disk / "model_store" / "release.json").chmod(0o600)
    return disk


def test_hosts_become_addresses(disk: Path) -> None:
    """The hosts that Render hands over become the addresses that gateway and `fraud` are set with."""
    message = started("env", MODELS_HOST="fraud-models-x1y2", GATEWAYS_HOST="fraud-gateway-z3", RENDER_DISK=str(disk))
    assert {
        "MODEL_SERVER_URL=http://fraud-models-x1y2:8080",
        "RELEASE_RECORD=http://fraud-models-x1y2:8070/release.json",
        "GATEWAY_URL=http://fraud-gateway-z3-discovery:8000",
    } <= set(message.stdout.splitlines())


def test_gateways_that_are_named_by_hand_stay(disk: Path) -> None:
    """Should Render's name for all instances not resolve, an operator's GATEWAY_URL takes its place."""
    message = started("env", GATEWAYS_HOST="fraud-gateway-z3", GATEWAY_URL="http://by-hand:8000", RENDER_DISK=str(disk))
    assert "GATEWAY_URL=http://by-hand:8000" in message.stdout.splitlines()


def test_without_hosts_nothing_is_set(disk: Path) -> None:
    """Where no host is handed over, addresses that are set already stay."""
    message = started("env", MODEL_SERVER_URL="http://elsewhere:1", RENDER_DISK=str(disk))
    assert "MODEL_SERVER_URL=http://elsewhere:1" in message.stdout.splitlines()
    assert "GATEWAY_URL" not in message.stdout


def test_the_exit_code_is_the_programs(disk: Path) -> None:
    """It becomes the program: its words arrive as they are, and its exit code comes through."""
    message = started("sh", "-c", 'echo "$1"; exit 7', "sh", "two  words", RENDER_DISK=str(disk))
    assert (message.stdout, message.returncode) == ("two  words\n", 7)


@ROOT_ONLY
def test_the_disk_is_handed_over(disk: Path) -> None:
    """Started as root, it gives a disk of root's to user 10001, and what a person wrote there as root too."""
    started("true", RENDER_DISK=str(disk))
    owners = {path.stat().st_uid for path in [disk, *disk.rglob("*")]}
    assert owners == {USER}


@ROOT_ONLY
def test_the_program_is_not_root(disk: Path) -> None:
    """Started as root, the program runs as user 10001 in no other group, and can never become more."""
    shown = "id -u; id -G; grep -E '^(NoNewPrivs|CapEff)' /proc/self/status"
    message = started("sh", "-c", shown, groups=[0, 4], RENDER_DISK=str(disk))
    assert message.stdout.split() == ["10001", "10001", "CapEff:", "0" * 16, "NoNewPrivs:", "1"]


@ROOT_ONLY
def test_a_person_finds_the_programs_and_the_store(disk: Path) -> None:
    """From wherever a shell was opened, the program starts on the disk and finds the commands of the image."""
    message = started("sh", "-c", "pwd; echo $PATH", RENDER_DISK=str(disk))
    where, path = message.stdout.split()
    assert (where, path.split(":")[0]) == (str(disk), "/opt/venv/bin")


@ROOT_ONLY
def test_a_link_is_not_followed(disk: Path, tmp_path: Path) -> None:
    """A link on the disk hands over the link, and not what it points to."""
    outer_env = tmp_path / "outside"
    outer_env.write_text("")
    (disk / "link").symlink_to(outer_env)
    started("true", RENDER_DISK=str(disk))
    assert outer_env.stat().st_uid == 0


@ROOT_ONLY
def test_another_user_changes_nothing(disk: Path) -> None:
    """Started as another user than root, as in the gateway's image, it leaves the disk alone and starts the program."""
    message = started("id", "-u", user=65534, RENDER_DISK=str(disk))
    assert message.stdout == "65534\n"
    assert disk.stat().st_uid == 0
