"""Places for backups: a directory, and S3 over HTTP to a server that checks the signatures."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from operations.backups import storage
from operations.backups.storage import StorageFailed
from tests.extras import to_install
from tests.operations import fake_s3
from tests.operations.fake_s3 import FakeS3

PLACE = f"s3://{fake_s3.BUCKET}/some/place"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeS3]:
    """An S3 that the environment names."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with fake_s3.running() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture(params=["directory", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Both kinds of place: a storage behaves the same in each."""
    if request.param == "directory":
        return str(tmp_path / "backups")
    request.getfixturevalue("s3")
    return PLACE


def test_what_was_put_is_fetched(place: str, tmp_path: Path) -> None:
    """A file comes back as it was put, also one so large that it travels in parts."""
    (tmp_path / "file").write_bytes(content := os.urandom((20 << 20) + 1))
    storage.storage_for(place).put(tmp_path / "file", "a.tar")
    storage.storage_for(place).fetch("a.tar", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == content


def test_files_are_listed_and_deleted_by_name(place: str, tmp_path: Path) -> None:
    """A place lists what lies in it with sizes, and deletes the one that is named."""
    there = storage.storage_for(place)
    assert there.sizes() == {}
    for size, name in enumerate(("a.tar", "b.tar"), 1):
        (tmp_path / "file").write_bytes(b"x" * size)
        there.put(tmp_path / "file", name)
    assert there.sizes() == {"a.tar": 1, "b.tar": 2}
    there.delete("a.tar")
    assert there.sizes() == {"b.tar": 2}


def test_a_file_in_a_directory_is_its_owners_alone(tmp_path: Path) -> None:
    """Nobody else may read a backup, and no temporary file stays."""
    (tmp_path / "file").write_bytes(b"x")
    where = storage.storage_for(str(tmp_path / "backups")).put(tmp_path / "file", "a.tar")
    assert Path(where).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "backups").iterdir()] == ["a.tar"]


def test_a_local_file_is_used_where_it_is(tmp_path: Path) -> None:
    """No copy is made of what is here already."""
    with storage.local_copy(str(tmp_path / "a.tar")) as path:
        assert path == tmp_path / "a.tar"


def test_a_file_on_s3_is_fetched_and_goes_again(s3: FakeS3) -> None:
    """A URL is used through a copy that lives no longer than its use."""
    s3.objects["some/place/a.tar"] = b"content"
    with storage.local_copy(f"{PLACE}/a.tar") as path:
        assert path.read_bytes() == b"content"
    assert not path.exists()


def test_a_missing_object_is_named(s3: FakeS3, tmp_path: Path) -> None:
    """What is not there is one line for a person."""
    with pytest.raises(StorageFailed, match=r"some/place/none\.tar does not exist"):
        storage.storage_for(PLACE).fetch("none.tar", tmp_path / "fetched")


def test_a_wrong_secret_is_refused_without_showing_it(
    s3: FakeS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """S3 refuses a signature by another secret, and the error holds no secret."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StorageFailed, match="access is refused") as refused:
        storage.storage_for(PLACE).put(tmp_path / "file", "a.tar")
    assert s3.objects == {}
    assert "wrong-secret" not in str(refused.value)


def test_storage_that_does_not_answer_is_one_line(s3: FakeS3) -> None:
    """Where nothing listens, the error names the setting to look at."""
    s3.server_close()
    with pytest.raises(StorageFailed, match="AWS_ENDPOINT_URL"):
        storage.storage_for(PLACE).sizes()


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 is optional: who asks for it without its package is told its name, not a name that anyone could publish."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(StorageFailed, match=re.escape(f"pip install {to_install('s3')}")):
        storage.storage_for(PLACE).sizes()
