"""Secrets as files."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environment.secret_files import MOST_BYTES, NAMES, SecretFileError, environment

PRINTABLE = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=1)
SPACE = st.text(" \t\r\n")
VARIABLES = st.dictionaries(st.sampled_from(["PATH", "LOG_FILE", "PORT", *NAMES]), PRINTABLE)


@pytest.fixture
def closed() -> Iterator[Path]:
    """A file that its owner alone may read, and where that is ourselves nobody; its directory is open to all."""
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        file = Path(directory, "key")
        file.write_text("k")
        file.chmod(0o000 if os.getuid() else 0o600)
        yield file


@contextmanager
def as_another_user() -> Iterator[int]:
    """Root, who may read everything, is somebody else meanwhile; anybody else stays who he is."""
    before = os.geteuid()
    os.seteuid(before or 10001)
    try:
        yield os.geteuid()
    finally:
        os.seteuid(before)


def refusal(env: Mapping[str, str]) -> str:
    """What is said of an environment that is refused."""
    with pytest.raises(SecretFileError) as refused:
        environment(env)
    return str(refused.value)


@given(VARIABLES)
def test_an_environment_without_secret_files_is_as_it_was(env: dict[str, str]) -> None:
    """Whatever else is set, names that only end in _FILE included, is handed on."""
    assert environment(env) == env


@given(st.sampled_from(NAMES), PRINTABLE, SPACE, SPACE, VARIABLES)
def test_a_file_stands_for_its_secret(name: str, secret: str, before: str, after: str, others: dict[str, str]) -> None:
    """The content is the secret whatever space is around it, the rest is as it was, and NAME_FILE is gone."""
    env = {key: value for key, value in others.items() if key != name}
    with TemporaryDirectory() as directory:
        file = Path(directory, "secret")
        file.write_text(before + secret + after, newline="")
        assert environment({**env, f"{name}_FILE": str(file)}) == {**env, name: secret}


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_empty_file_is_no_secret(tmp_path: Path, content: str) -> None:
    """An empty file, and an empty NAME_FILE, are as if they were not set."""
    file = tmp_path / "empty"
    file.write_text(content)
    assert environment({"REDIS_URL_FILE": str(file), "API_KEY_FILE": "", "PORT": "1"}) == {"PORT": "1"}
    assert environment({"API_KEY_FILE": str(file), "API_KEY": "k"}) == {"API_KEY": "k"}


def test_the_same_secret_twice_is_no_question(tmp_path: Path) -> None:
    """A variable beside a file of the same content, or an empty variable, changes nothing."""
    file = tmp_path / "key"
    file.write_text("k-1\n")
    for value in ("k-1", "k-1 ", ""):
        assert environment({"API_KEY": value, "API_KEY_FILE": str(file)}) == {"API_KEY": "k-1"}


def test_two_different_secrets_are_refused(tmp_path: Path) -> None:
    """Nobody can know which of the two is meant; neither is shown."""
    file = tmp_path / "key"
    file.write_text("in-the-file")
    message = refusal({"API_KEY": "in-the-variable", "API_KEY_FILE": str(file)})
    assert message == "API_KEY and API_KEY_FILE are both set, and differ: set one of them"


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"hunter2\nhunter3", b"hunter2\0", b"hunter2" * MOST_BYTES],
    ids=["no text", "two lines", "a NUL", "too long"],
)
def test_what_is_no_line_of_text_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file of another kind is refused by name, and nothing of it is shown."""
    file = tmp_path / "key"
    file.write_bytes(content)
    message = refusal({"ALERT_URL_FILE": str(file)})
    assert message.startswith("ALERT_URL_FILE: ")
    assert "hunter" not in message


@pytest.mark.parametrize("path", ["absent/hunter2", "hunter2\0"])
def test_a_secret_instead_of_a_path_is_not_shown(path: str) -> None:
    """Whoever writes the secret itself into NAME_FILE does not find it in a log."""
    message = refusal({"ALERT_URL_FILE": path})
    assert message.startswith("ALERT_URL_FILE: ")
    assert "hunter2" not in message


def test_a_directory_is_what_docker_makes_of_a_missing_file(tmp_path: Path) -> None:
    """The reason says so."""
    assert "Docker" in refusal({"API_KEY_FILE": str(tmp_path)})


def test_a_file_of_another_user_is_said_so(closed: Path) -> None:
    """The usual case in a container: the reason says who asked, whose the file is, and its mode."""
    found = closed.stat()
    with as_another_user() as user:
        message = refusal({"API_KEY_FILE": str(closed)})
    owner = f"which belongs to user {found.st_uid} and has mode {found.st_mode & 0o777:04o}"
    assert message == f"API_KEY_FILE: user {user} may not read the file that it names, {owner}"


def test_a_closed_directory_is_said_so(closed: Path) -> None:
    """Where not even the owner can be seen the reason is the same, without it."""
    closed.parent.chmod(0o600)
    with as_another_user() as user:
        message = refusal({"API_KEY_FILE": str(closed)})
    closed.parent.chmod(0o700)
    assert message == f"API_KEY_FILE: user {user} may not read the file that it names"
