"""What is deleted, and above all what is not."""

import os
import re
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.errors import OperationsError
from operations.files import durable
from operations.jobs import clean as module
from operations.jobs.clean import clean
from operations.settings import StatePaths
from operations.store.registry import Registry
from tests.operations.conftest import add

LONG_AGO = time.time() - 40 * 86_400


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A $TMPDIR of this test, and no stack on this machine."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    monkeypatch.setattr(module, "_a_stack_runs", lambda: False)
    return directory


def old(path: Path, *, mode: int | None = None, content: bytes | None = b"12345", age: float = LONG_AGO) -> Path:
    """A file, or a directory where it has no content, that was last changed long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        path.mkdir(exist_ok=True)
    else:
        path.write_bytes(content)
    path.chmod(mode or (0o700 if content is None else 0o600))
    os.utime(path, (age, age))
    return path


def cleaned(paths: StatePaths, *, dry_run: bool = False, **env: str) -> list[str]:
    """What is said."""
    message = list[str]()
    clean(paths, env, message.append, dry_run=dry_run)
    return message


OLD_AND_OURS = (
    "var/log/torchserve.log.1",
    "var/log/gateway.log.3",
    "var/log/gateway.jsonl.5",
    "var/run/.fraud-scratch-k3v_9a0x",
    "var/jobs/.fraud-scratch-0a1b2c3d",
    "var/verdicts/.fraud-scratch-0a1b2c3d",
    "var/backups/.fraud-scratch-0a1b2c3d",
    "var/restored/.fraud-scratch-0a1b2c3d",
    "model_store/.fraud-scratch-0a1b2c3d",
    "model_store/.fraud-scratch-abcdefgh",
)
TEMPTING = (
    "var/log/gateway.log",
    "var/log/gateway.jsonl",
    "var/log/gateway.log.old",
    "var/log/gateway.log.1.gz",
    "var/log/notes.txt.1",
    "var/log/.gateway.log.1",
    "var/log/sub/gateway.log.1",
    "var/gateway.log.1",
    "gateway.log.1",
    "var/run/stack.json",
    "var/run/lock",
    "var/run/.hidden.abcdefgh",
    "var/run/.fraud-scratch-toolonger",
    "var/.fraud-scratch-0a1b2c3d",
    ".fraud-scratch-0a1b2c3d",
    "var/jobs/backup.prom",
    "var/jobs/backup.lock",
    "var/jobs/schedule.lock",
    "var/jobs/.backup.lock.abcdefgh",
    "var/verdicts/fraud-1.json",
    "var/verdicts/notes.json",
    "var/backups/fraud-backup-20260101-043000-123456.tar",
    "var/backups/.fraud-backup-20260101-043000-123456.tar.20260101",
    "var/valkey/appendonly.aof.1",
    "model_store/fraud-1.mar",
    "model_store/fraud-1.json",
    "model_store/fraud-1.sig",
    "model_store/fraud-2.mar",
    "model_store/release.json",
    "model_store/journal.jsonl",
    "model_store/.lock",
    "model_store/.release.lock",
    "model_store/.journal.lock",
    "model_store/.release.json.20260101",
    "model_store/.release.json.0a1b2c3d",
    "model_store/.env.0a1b2c3d",
    "model_store/fraud-scratch-0a1b2c3d",
    "model_store/.fraud-scratch-0A1B2C3D",
    "model_store/sub/.fraud-scratch-0a1b2c3d",
    "examples/transactions.csv",
)


def test_only_the_right_files_go(paths: StatePaths) -> None:
    """Of a tree of old files with tempting names, those alone go that this software leaves behind."""
    gone = [old(paths.root / name) for name in OLD_AND_OURS]
    kept = [old(paths.root / name) for name in TEMPTING]
    message = cleaned(paths)
    assert [path for path in gone if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []
    assert message[-1] == f"{5 * len(gone)} bytes were freed"
    assert len(message) == len(gone) + 1


def test_a_dry_run_deletes_nothing(paths: StatePaths) -> None:
    """It says the same, of what would be."""
    files = [old(paths.root / name) for name in OLD_AND_OURS]
    message = cleaned(paths, dry_run=True)
    assert all(path.exists() for path in files)
    assert f"would delete {files[0]}: an old log, 5 bytes" in message
    assert message[-1] == f"{5 * len(files)} bytes would be freed"


def test_what_is_recent_stays(paths: StatePaths) -> None:
    """Everything of the last day stays: it may be in use."""
    files = [old(paths.root / name, age=time.time() - 3600) for name in OLD_AND_OURS]
    assert cleaned(paths) == ["0 bytes were freed"]
    assert all(path.exists() for path in files)


def test_the_age_of_logs_is_a_setting(paths: StatePaths) -> None:
    """CLEAN_DAYS says after how many days a log goes, 14 by default."""
    log = old(paths.root / "var" / "log" / "gateway.log.1", age=time.time() - 10 * 86_400)
    cleaned(paths)
    assert log.exists()
    cleaned(paths, CLEAN_DAYS="9")
    assert not log.exists()


@pytest.mark.parametrize("days", ["0", "-1", "x", "1e3", "99999"])
def test_an_age_that_is_none_deletes_nothing(paths: StatePaths, days: str) -> None:
    """A wrong setting is refused before anything is deleted."""
    log = old(paths.root / "var" / "log" / "gateway.log.1")
    with pytest.raises(OperationsError, match="CLEAN_DAYS"):
        cleaned(paths, CLEAN_DAYS=days)
    assert log.exists()


def test_no_link_is_followed(paths: StatePaths, tmp_path: Path, scratch: Path) -> None:
    """Neither links with the right names, nor right names behind links, nor behind directories that became links."""
    env = [old(tmp_path / "elsewhere" / name) for name in ("gateway.log.1", "backup.tar", ".fraud-scratch-0a1b2c3d")]
    (paths.root / "var" / "run").mkdir(parents=True)
    (paths.root / "var" / "log").symlink_to(tmp_path / "elsewhere")
    paths.store.symlink_to(tmp_path / "elsewhere")
    links = [
        paths.root / "var" / "run" / ".fraud-scratch-0a1b2c3d",
        scratch / ".fraud-scratch-0a1b2c3d",
        scratch / "fraud-0a1b2c3d",
    ]
    for link in links:
        link.symlink_to(tmp_path / "elsewhere")
        os.utime(link, (LONG_AGO, LONG_AGO), follow_symlinks=False)
    message = cleaned(paths)
    assert all(path.exists() for path in (*env, *links))
    assert message == [
        f"{paths.store} is a link and is left alone",
        f"{paths.root / 'var' / 'log'} is a link and is left alone",
        "0 bytes were freed",
    ]


def test_var_may_be_a_link_and_nothing_goes(paths: StatePaths, tmp_path: Path) -> None:
    """Where var itself is a link, what is behind it is not touched."""
    log = old(tmp_path / "elsewhere" / "log" / "gateway.log.1")
    (paths.root / "var").symlink_to(tmp_path / "elsewhere")
    assert cleaned(paths)[-1] == "0 bytes were freed"
    assert log.exists()


def test_links_inside_scratch_go_and_what_they_name_stays(paths: StatePaths, tmp_path: Path, scratch: Path) -> None:
    """A scratch directory is deleted with the links in it, not with what they lead to."""
    kept = old(tmp_path / "elsewhere" / "precious")
    directory = old(scratch / ".fraud-scratch-0a1b2c3d", content=None)
    inside = old(directory / "model_store", content=None)
    (inside / "link").symlink_to(kept.parent)
    os.utime(inside / "link", (LONG_AGO, LONG_AGO), follow_symlinks=False)
    for path in (inside, directory):
        os.utime(path, (LONG_AGO, LONG_AGO))
    cleaned(paths)
    assert not directory.exists()
    assert kept.exists()


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        (".fraud-scratch-0a1b2c3d", "backup.tar"),
        (".fraud-scratch-k3v_9a0x", "fraud-3.mar"),
        ("fraud-0a1b2c3d", "ts"),
        (".fraud-scratch-abcdefgh", None),
    ],
)
def test_scratch_of_killed_commands_goes(paths: StatePaths, scratch: Path, name: str, inside: str | None) -> None:
    """Directories that a kill left in $TMPDIR, with what is in them."""
    directory = scratch / name
    if inside:
        old(directory / inside)
    old(directory, content=None)
    assert len(cleaned(paths)) == 2
    assert not directory.exists()


@pytest.mark.parametrize(
    ("name", "inside", "mode"),
    [
        ("fraud-backup-20260101", "backup.tar", 0o700),
        ("fraud-scratch-0a1b2c3d", "backup.tar", 0o700),
        (".fraud-scratch-0a1b2c3d0", "backup.tar", 0o700),
        (".fraud-scratch", "backup.tar", 0o700),
        ("fraud-datasets", "ts", 0o755),
        ("fraud-datasets", "claims.csv", 0o700),
        ("fraud-20260101", "ts", 0o700),
        ("fraud-other-0a1b2c3d", "backup.tar", 0o700),
        ("afraud-0a1b2c3d", "ts", 0o700),
    ],
)
def test_tempting_directories_stay(paths: StatePaths, scratch: Path, name: str, inside: str, mode: int) -> None:
    """Another name, another mode, or something in it that we do not put there."""
    old(scratch / name / inside)
    directory = old(scratch / name, content=None, mode=mode)
    assert cleaned(paths) == ["0 bytes were freed"]
    assert directory.exists()


def test_scratch_that_is_written_to_stays(paths: StatePaths, scratch: Path) -> None:
    """What counts is the newest change of anything in the directory."""
    directory = scratch / ".fraud-scratch-0a1b2c3d"
    old(directory / "backup.tar", age=time.time() - 60)
    old(directory, content=None)
    cleaned(paths)
    assert directory.exists()


def test_scratch_of_a_stack_stays_while_any_runs(
    paths: StatePaths, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle stack writes nothing into its directory for days."""
    monkeypatch.setattr(module, "_a_stack_runs", lambda: True)
    directory = old(scratch / "fraud-0a1b2c3d", content=None)
    cleaned(paths)
    assert directory.exists()


def test_a_copy_that_a_person_made_stays(paths: StatePaths) -> None:
    """A hidden file beside the others has no prefix of ours, whatever its mode."""
    copies = [old(paths.store / f".release.json.{name}") for name in ("original", "0a1b2c3d")]
    cleaned(paths)
    assert all(copy.exists() for copy in copies)


def test_what_an_unfinished_write_leaves_goes(paths: StatePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very file that `durable.write` leaves when it is killed."""
    paths.store.mkdir()
    monkeypatch.setattr(os, "replace", _killed)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
        durable.write(paths.store / "release.json", b"12345", 0o600)
    monkeypatch.undo()
    (left,) = paths.store.iterdir()
    os.utime(left, (LONG_AGO, LONG_AGO))
    assert clean(paths, {}, lambda _: None) == 5
    assert list(paths.store.iterdir()) == []


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_trainings_that_were_killed_go_after_a_week(paths: StatePaths) -> None:
    """A training may learn for days without writing."""
    recent = old(paths.store / ".fraud-scratch-0a1b2c3d", content=None, age=time.time() - 3 * 86_400)
    dead = old(paths.store / ".fraud-scratch-z9y8x7w6", content=None)
    cleaned(paths)
    assert recent.exists()
    assert not dead.exists()


def test_the_newest_verdicts_stay(paths: StatePaths) -> None:
    """A year of them, by their number and not by their age."""
    files = [old(paths.verdicts / f"fraud-{number}.json") for number in range(1, 61)]
    cleaned(paths)
    assert [path for path in files if path.exists()] == files[-52:]


def test_a_store_is_as_sound_as_before(paths: StatePaths) -> None:
    """Versions verify after the cleaning, however old they are."""
    registry = Registry(paths.store)
    for version in (1, 2):
        add(registry, paths.root, version)
    for path in paths.store.iterdir():
        os.utime(path, (LONG_AGO, LONG_AGO))
    before = sorted(paths.store.iterdir())
    cleaned(paths)
    assert sorted(paths.store.iterdir()) == before
    registry.verify(1)


def test_what_cannot_be_deleted_is_a_failure_at_the_end(paths: StatePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """All else is deleted first, and the error says why in one line."""
    files = [old(paths.root / "var" / "log" / f"gateway.log.{number}") for number in (1, 2, 3)]
    unlink = Path.unlink

    def refused(path: Path, *, missing_ok: bool = False) -> None:
        if path.name == "gateway.log.2":
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(OperationsError, match=r"1 could not be deleted; the first: .*gateway.log.2: Permission denied"):
        cleaned(paths)
    assert [path.exists() for path in files] == [False, True, False]


def test_an_empty_directory_is_clean(paths: StatePaths) -> None:
    """Where nothing ever ran there is nothing to delete."""
    assert cleaned(paths) == ["0 bytes were freed"]


PIECES = st.sampled_from(
    [".fraud-scratch-", "fraud-", "1",
      ".mar", ".json", ".sig", ".lock", "release", "journal", ".jsonl", "0a1b2c3d", ".", "backup", ".log",
     "gateway", "-", "20260101", "original", ".prom", "stack", ".tar"]
)  # fmt: skip
NAMES = st.lists(PIECES, min_size=1, max_size=6).map("".join).filter(lambda name: name.strip("."))


@given(st.lists(NAMES, max_size=8, unique=True))
def test_nothing_durable_ever_goes(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    """In the store only scratch can go: the prefix and a random end."""
    root = tmp_path_factory.mktemp("any")
    paths = StatePaths(root, root / "model_store")
    files = {old(paths.store / name) for name in names}
    cleaned(paths)
    gone = {path.name for path in files if not path.exists()}
    assert all(re.fullmatch(r"\.fraud-scratch-[a-z0-9_]{8}", name) for name in gone)
