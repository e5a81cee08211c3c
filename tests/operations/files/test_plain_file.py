"""Plain files in a directory that others write into."""

import os
from pathlib import Path

import pytest

from operations.files import plain_file


def test_a_file_is_read(tmp_path: Path) -> None:
    """As many bytes as are allowed are no more than that."""
    (tmp_path / "file").write_bytes(b"12345")
    assert plain_file.read(tmp_path / "file", 5) == b"12345"


def test_no_more_is_read_than_is_allowed(tmp_path: Path) -> None:
    """A file that is larger is refused, and not read to its end."""
    with (tmp_path / "file").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="too large"):
        plain_file.read(tmp_path / "file", 5)


@pytest.mark.parametrize(
    ("kind", "why"), [("link", "is a link"), ("pipe", "no plain file"), ("directory", "directory")]
)
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: str, why: str) -> None:
    """A link is not followed, and a pipe that nobody writes is not waited for; the reason is said."""
    path, other = tmp_path / "file", tmp_path / "other"
    other.write_bytes(b"1")
    match kind:
        case "link":
            path.symlink_to(other)
        case "pipe":
            os.mkfifo(path)
        case _:
            path.mkdir()
    with pytest.raises(OSError, match=why):
        plain_file.read(path, 5)


def test_what_was_opened_stays_the_same_file(tmp_path: Path) -> None:
    """Another file that is renamed to its place is not read."""
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_bytes(b"first")
    other.write_bytes(b"other")
    with plain_file.open_plain(path) as file:
        other.replace(path)
        assert file.read() == b"first"
