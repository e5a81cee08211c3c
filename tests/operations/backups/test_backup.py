"""Backups of a real model store: what they hold, where they go back, and when they are refused."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from operations.backups import backup, backup_file, backup_parts, storage
from operations.backups.backup import ChangedFile, CreatedBackup, NothingToBackUp, TargetNotEmpty, UnexpectedFile
from operations.backups.backup_file import DamagedBackup
from operations.backups.backup_parts import BackupSource
from operations.backups.golden_check import GoldenCheck, check_golden_rows
from operations.cli import app, commands
from operations.errors import OperationsError
from operations.files import durable
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.release import release
from operations.settings import StatePaths
from operations.store import journal
from operations.store.registry import Registry
from operations.store.release_record import read_record
from tests import tiny
from tests.deploy import documented
from tests.operations import fake_s3
from tests.operations.conftest import add, pack
from tests.swapping import at_every_step
from tests.timeouts import WAIT_SECONDS

OUTSIDE = {
    "API_KEY": "very-secret",
    "REDIS_URL": "redis://user:hidden-word@host/0",
    "ALERT_URL": "https://chat/hidden-path",
    "BASE_MODEL": "true",
    "MODEL_SERVER_URL": "http://user:hidden-too@host:8080",
    "MODEL_WORKERS": "3",
    "PATH": "/usr/bin",
}
KEEP = 8


@pytest.fixture
def paths(target: DeploymentTarget, tmp_path: Path) -> StatePaths:
    """A checkout with versions 1 and 2, of which 2 is live."""
    for version in (1, 2):
        release(target, version, lambda _: None)
    return StatePaths(tmp_path, target.store)


@pytest.fixture
def made(paths: StatePaths) -> CreatedBackup:
    """A backup of it."""
    return _create(paths)


@pytest.fixture
def empty(tmp_path: Path) -> StatePaths:
    """A new clone: its model store has a page of text and nothing else."""
    paths = StatePaths(tmp_path / "clone", tmp_path / "clone" / "model_store")
    paths.store.mkdir(parents=True)
    (paths.store / "README.md").write_text("# The model store\n")
    return paths


@pytest.fixture
def scoring(tmp_path: Path) -> StatePaths:
    """A checkout with two versions that have real models; none is live."""
    paths = StatePaths(tmp_path, tmp_path / "model_store")
    for version in (1, 2):
        _add_scoring(Registry(paths.store), tmp_path / f"unpacked-{version}", version)
    return paths


def _add_scoring(
    registry: Registry, directory: Path, version: int, spoil: Callable[[Path], None] = lambda _: None
) -> None:
    tiny.write_version(directory, version)
    spoil(directory)
    archive = pack(directory.with_suffix(".mar"), {file.name: file.read_bytes() for file in directory.iterdir()})
    with pytest.MonkeyPatch.context() as before:  # A release before this one did not look into what it added.
        before.setattr("operations.store.registry.check_archive", lambda _: None)
        registry.add(archive, replace(tiny.card(version), data={"sha256": "0" * 64}), tiny.CONTRACT)


def _create(paths: StatePaths, keep: int = KEEP) -> CreatedBackup:
    return backup.create(BackupSource(paths, OUTSIDE), storage.storage_for(str(paths.root / "backups")), keep)


def _state_of(paths: StatePaths) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in paths.store.glob("[fr]*") if path.is_file()}


def test_a_restore_gives_everything_back(made: CreatedBackup, paths: StatePaths, empty: StatePaths) -> None:
    """Archives, entries and the release record come back as they were, into a clone."""
    backup.restore(Path(made.location), empty)
    assert _state_of(empty) == _state_of(paths)
    assert read_record(empty.store) == read_record(paths.store)
    for version in (1, 2):
        Registry(empty.store).verify(version)


def test_a_place_that_does_not_exist_is_empty(made: CreatedBackup, paths: StatePaths, tmp_path: Path) -> None:
    """A restore makes the directories that it needs."""
    there = StatePaths(tmp_path / "new", tmp_path / "new" / "model_store")
    backup.restore(Path(made.location), there)
    assert _state_of(there) == _state_of(paths)


def test_no_secret_is_in_a_backup(made: CreatedBackup, empty: StatePaths) -> None:
    """Keys and passwords are left out, and named as what must be set again; other variables are nobody's business."""
    held = Path(made.location).read_bytes()
    assert not any(
        secret in held for secret in (b"very-secret", b"hidden-word", b"hidden-too", b"hidden-path", b"/usr/bin")
    )
    backup.restore(Path(made.location), empty)
    settings = json.loads((empty.root / "var" / "restored" / "settings.json").read_bytes())
    assert settings["settings"] == {"MODEL_WORKERS": "3", "BASE_MODEL": "true"}
    assert settings["left_out"] == ["API_KEY", "REDIS_URL", "ALERT_URL", "MODEL_SERVER_URL"]


def test_secrets_that_are_files_are_named_too(paths: StatePaths) -> None:
    """In containers secrets are given as files: a backup says that they were set there as well."""
    env = {"API_KEY_FILE": "/run/secrets/api_key", "REDIS_URL_FILE": "/run/redis/url", "LOG_FILE": "gateway.jsonl"}
    (held,) = backup_parts.settings_files(BackupSource(paths, env))
    assert isinstance(held.content, bytes)
    found = json.loads(held.content)
    assert found == {"settings": {"LOG_FILE": "gateway.jsonl"}, "left_out": ["API_KEY", "REDIS_URL"]}


def test_the_secret_of_history_is_named_and_not_held(paths: StatePaths, tmp_path: Path) -> None:
    """The one that `fraud up` has made: whoever restores needs to know that there is one, and its readers not it."""
    paths.history_key.parent.mkdir(parents=True, exist_ok=True)
    paths.history_key.write_text("s3cr3t" * 8)
    made = backup.create(BackupSource(paths, {}), storage.storage_for(str(tmp_path / "elsewhere")), 1)
    held = Path(made.location).read_bytes()
    assert b"HISTORY_KEY" in held
    assert b"s3cr3t" not in held


def test_every_setting_is_either_kept_or_secret() -> None:
    """A new setting, of the gateway or of what our pages name, must be put into one of the two lists."""
    files = {f"{name}_FILE" for name in backup_parts.SECRETS}
    kept = {*backup_parts.SETTINGS, *backup_parts.SECRETS, *files}
    assert documented.settings() | {"REDIS_MEMORY", "SCHEDULE"} <= kept


def test_the_journal_comes_back(made: CreatedBackup, paths: StatePaths, empty: StatePaths) -> None:
    """What happened to releases is known after a restore, and goes on from there."""
    before = journal.events(paths.store)
    assert [event["event"] for event in before] == ["released", "released"]
    backup.restore(Path(made.location), empty)
    assert journal.events(empty.store) == before


def test_verdicts_come_back(paths: StatePaths, empty: StatePaths) -> None:
    """What retraining found of a version is restored where a scheduled job reads it."""
    paths.verdicts.mkdir(parents=True)
    (paths.verdicts / "fraud-2.json").write_text('{"passed": true}')
    (paths.verdicts / "notes.txt").touch()
    backup.restore(Path(_create(paths).location), empty)
    assert [file.name for file in empty.verdicts.iterdir()] == ["fraud-2.json"]


def test_a_store_without_a_journal_is_backed_up(paths: StatePaths, empty: StatePaths) -> None:
    """The journal is for people: a store whose events were never written, or are lost, is sound."""
    (paths.store / journal.FILE_NAME).unlink()
    backup.restore(Path(_create(paths).location), empty)
    assert _state_of(empty) == _state_of(paths)
    assert journal.events(empty.store) == []


def test_only_its_owner_may_read_a_backup(made: CreatedBackup) -> None:
    """A backup has mode 0600, and no temporary file lies beside it."""
    assert Path(made.location).stat().st_mode & 0o777 == 0o600
    assert len(list(Path(made.location).parent.iterdir())) == 1


def test_where_there_is_no_store_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    """A backup of nothing is refused."""
    with pytest.raises(NothingToBackUp, match="fraud train"):
        _create(StatePaths(tmp_path, tmp_path / "none"))


def test_a_damaged_archive_stops_the_backup(made: CreatedBackup, paths: StatePaths) -> None:
    """A bad backup is not made, and so never takes the place of a good one."""
    (paths.store / "fraud-1.mar").write_bytes(b"archive X")
    with pytest.raises(ChangedFile, match=r"fraud-1\.mar"):
        _create(paths, keep=1)
    assert Path(made.location).exists()


def test_a_record_without_its_version_stops_the_backup(paths: StatePaths) -> None:
    """A store whose live version is gone is not taken for a sound one."""
    (paths.store / "fraud-2.json").unlink()
    with pytest.raises(OperationsError, match="no version 2"):
        _create(paths)


def test_a_backup_waits_for_a_release(paths: StatePaths) -> None:
    """While the store is locked nothing is read; the backup is of the moment after."""
    made: list[CreatedBackup] = []
    thread = threading.Thread(target=lambda: made.append(_create(paths)))
    with durable.locked(paths.store / ".release.lock", ""):
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(60)
    assert len(made) == 1


def test_backups_beside_releases_and_trainings_are_whole(
    target: DeploymentTarget, paths: StatePaths, tmp_path: Path
) -> None:
    """While versions are added and released, every backup holds the version that its record names."""
    ended = threading.Event()

    def work() -> None:
        for version in range(3, 40):
            for step in (lambda v=version: add(target.registry, tmp_path, v), lambda v=version: _publish(target, v)):
                _until_done(step)
        ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    count = 0
    while not ended.is_set() or not count:
        count += 1
        there = StatePaths(tmp_path / f"r{count}", tmp_path / f"r{count}" / "model_store")
        backup.restore(Path(_create(paths).location), there)
        live = read_record(there.store)
        assert live is not None
        Registry(there.store).verify(live.version)
    thread.join()


def _publish(target: DeploymentTarget, version: int) -> None:
    release(target, version, lambda _: None)


def _until_done(step: Callable[[], None]) -> None:
    """A release or training that meets the moment of a backup is told to try again."""
    while True:
        try:
            return step()
        except OperationsError as error:
            if "another" not in str(error):
                raise


def test_the_newest_are_kept(paths: StatePaths) -> None:
    """The retention rule deletes the oldest backups, and says which."""
    names = [Path(_create(paths, keep=2).location).name for _ in range(3)]
    last = _create(paths, keep=2)
    assert last.deleted == [names[1]]
    assert [name for name, _ in backup.list_backups(storage.storage_for(str(paths.root / "backups")))] == [
        names[2], Path(last.location).name
    ]  # fmt: skip


def test_backups_on_s3_are_kept_by_the_same_rule(paths: StatePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket keeps as many as a directory would, and nothing else in it is touched."""
    with fake_s3.running() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.objects["mine/notes.tar"] = b"mine"
        target = storage.storage_for(f"s3://{fake_s3.BUCKET}/mine")
        made = [backup.create(BackupSource(paths, OUTSIDE), target, keep=1) for _ in range(2)]
        with storage.local_copy(made[1].location) as file:
            assert backup_file.read(file) == made[1].manifest
        assert server.objects.keys() == {"mine/notes.tar", made[1].location.removeprefix(f"s3://{fake_s3.BUCKET}/")}


def test_only_backups_are_deleted(paths: StatePaths) -> None:
    """What has another name than a backup, or is a directory or a link, stays."""
    directory = paths.root / "backups"
    directory.mkdir()
    others = ["fraud-backup-notes.tar", "fraud-backup-20200101-000000-000000.tar.old", "a.tar"]
    for name in others:
        (directory / name).write_text("mine")
    (directory / "fraud-backup-20200101-000000-000001.tar").mkdir()
    (directory / "fraud-backup-20200101-000000-000002.tar").symlink_to(directory / "a.tar")
    _create(paths, keep=1)
    assert _create(paths, keep=1).deleted
    assert len(list(directory.iterdir())) == len(others) + 3


def test_a_clock_that_went_back_does_not_cost_the_new_backup(paths: StatePaths) -> None:
    """The backup just made stays, although another one claims to be newer."""
    future = paths.root / "backups" / "fraud-backup-29990101-000000-000000.tar"
    future.parent.mkdir()
    future.write_bytes(b"")
    made = _create(paths, keep=1)
    assert made.deleted == [future.name]
    assert Path(made.location).exists()


@pytest.mark.parametrize("name", ["fraud-1.mar", "release.json", "anything"])
def test_a_taken_place_is_refused(made: CreatedBackup, empty: StatePaths, name: str) -> None:
    """A restore never mixes with what is there, and leaves it as it was."""
    (empty.store / name).write_text("mine")
    with pytest.raises(TargetNotEmpty, match=name):
        backup.restore(Path(made.location), empty)
    assert {path.name for path in empty.store.iterdir()} == {"README.md", name}


def test_a_place_that_holds_the_backup_is_refused(made: CreatedBackup, paths: StatePaths) -> None:
    """Restoring over what is the same already is refused too: it is not empty."""
    there = StatePaths(paths.root / "clone", paths.root / "clone" / "model_store")
    backup.restore(Path(made.location), there)
    with pytest.raises(TargetNotEmpty, match="already"):
        backup.restore(Path(made.location), there)


def test_a_damaged_backup_writes_nothing(made: CreatedBackup, tmp_path: Path) -> None:
    """The last byte is verified before the first is written where it is to be restored."""
    path = Path(made.location)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedBackup):
        backup.restore(path, StatePaths(tmp_path / "new", tmp_path / "new" / "model_store"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["model_store/evil.py", "settings/other", "unknown/file"])
def test_an_unexpected_file_is_refused(made: CreatedBackup, tmp_path: Path, empty: StatePaths, name: str) -> None:
    """A sound backup with a file that this program would not put into one is refused whole."""
    manifest = backup_file.read(Path(made.location))
    item = replace(manifest.items[0], name=name)
    content = backup_parts.settings_files(BackupSource(empty, OUTSIDE))[0].content
    (tmp_path / "content").write_bytes(content if isinstance(content, bytes) else b"")
    odd = replace(manifest, items=(item,))
    backup_file.write(tmp_path / "odd.tar", odd, lambda _: (tmp_path / "content").open("rb"))
    with pytest.raises(UnexpectedFile, match=name):
        backup.restore(tmp_path / "odd.tar", empty)
    assert [path.name for path in empty.store.iterdir()] == ["README.md"]


def test_a_restore_that_was_cut_short_is_finished_by_another(
    made: CreatedBackup, paths: StatePaths, tmp_path: Path
) -> None:
    """Wherever a restore ends, every version there is whole, the record comes last, and a second run completes it."""
    items = backup_file.read(Path(made.location)).items
    assert items[-1].name == "model_store/release.json"
    for done in range(len(items)):
        there = StatePaths(tmp_path / f"cut-{done}", tmp_path / f"cut-{done}" / "model_store")
        backup.restore(Path(made.location), there)
        for item in items[done:]:
            (there.root / item.name.replace("settings/", "var/restored/").replace("journal/", "model_store/")).unlink()
        for entry in Registry(there.store).entries():
            Registry(there.store).verify(entry.version)
        assert read_record(there.store) is None
        backup.restore(Path(made.location), there)
        assert _state_of(there) == _state_of(paths)


def test_every_version_is_scored_again(scoring: StatePaths, tmp_path: Path) -> None:
    """Verifying a backup scores the golden rows of each version, and says which one is live."""
    durable.write(scoring.store / "release.json", b'{"version": 2, "previous": 1, "released": ""}')
    lines = [str(result) for result in check_golden_rows(Path(_create(scoring).location))]
    assert [line.split(", largest")[0] for line in lines] == [
        "version 1: 2 golden rows score as in training",
        "version 2 (live): 2 golden rows score as in training",
    ]


def _another_model(directory: Path) -> None:
    tiny.write_version(directory.with_name("other"), slope=0.02)
    (directory / "model.pt").write_bytes((directory.with_name("other") / "model.pt").read_bytes())
    tiny.seal(directory)


def _no_model(directory: Path) -> None:
    (directory / "model.pt").write_bytes(b"no model")
    tiny.seal(directory)


def _unsealed(directory: Path) -> None:
    (directory / "golden.json").write_text('{"csv": "", "probabilities": []}')


def _another_version(directory: Path) -> None:
    (directory / "card.json").write_bytes(tiny.card(7).to_bytes())
    tiny.seal(directory)


def _incomplete(directory: Path) -> None:
    (directory / "contract.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "messages"),
    [
        (_another_model, "OTHERWISE"),
        (_no_model, "RuntimeError"),
        (_unsealed, "golden.json"),
        (_another_version, "another version"),
        (_incomplete, "lacks contract.json"),
    ],
)
def test_a_version_that_no_longer_scores_is_told(
    scoring: StatePaths, tmp_path: Path, spoil: Callable[[Path], None], messages: str
) -> None:
    """A version that was bad when it was backed up is named, and the others are scored all the same."""
    _add_scoring(Registry(scoring.store), tmp_path / "bad", 3, spoil)
    results = list(check_golden_rows(Path(_create(scoring).location)))
    assert [result.is_good for result in results] == [True, True, False]
    assert messages in str(results[2])


def test_a_score_that_is_no_number_is_not_good() -> None:
    """NaN is within no tolerance."""
    assert not GoldenCheck(1, live=True, rows=1, difference=float("nan")).is_good


def test_the_commands_work_together(scoring: StatePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fraud backup` twice, list, verify and restore, as a person types them."""
    monkeypatch.chdir(scoring.root)
    runner = CliRunner()
    assert "versions 1, 2" in runner.invoke(commands, ["backup"], catch_exceptions=False).stdout
    assert "versions 1, 2" in runner.invoke(commands, ["backup", "create", "--keep", "2"]).stdout
    names = [line.split()[0] for line in runner.invoke(commands, ["backup", "list"]).stdout.splitlines()]
    assert len(names) == 2
    assert all(first < second for first, second in pairwise(names))
    file = f"var/backups/{names[-1]}"
    assert runner.invoke(commands, ["backup", "verify", file]).stdout.count("as in training") == 2
    restored = runner.invoke(commands, ["restore", file, "--into", "elsewhere"])
    assert restored.exit_code == 0, restored.output
    assert _state_of(StatePaths(scoring.root, scoring.root / "elsewhere" / "model_store")) == _state_of(scoring)


@pytest.mark.parametrize("command", [["restore"], ["backup", "verify"]])
def test_a_file_that_is_no_backup_is_one_line(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refusal is one line with exit code 1."""
    (tmp_path / "no.tar").write_bytes(b"no backup")
    monkeypatch.chdir(tmp_path)
    for file, messages in (("no.tar", "is torn"), ("none.tar", "No such file")):
        monkeypatch.setattr(sys, "argv", ["fraud", *command, file])
        with pytest.raises(SystemExit) as ended:
            app()
        assert ended.value.code == 1
        error = capsys.readouterr().err
        assert messages in error
        assert error.count("\n") == 1


def test_backing_up_needs_no_torch() -> None:
    """Only verifying loads torch: backups and restores are quick."""
    slow = "{'torch', 'pandas', 'obstore'}"
    code = f"import sys, operations.cli, operations.backups.backup; print({slow} & sys.modules.keys())"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=WAIT_SECONDS
    )
    assert shown.stdout.strip() == "set()"


def test_a_damaged_entry_stops_the_backup(made: CreatedBackup, paths: StatePaths) -> None:
    """A backup that silently left a version out might push the last whole one out of the kept ones."""
    (paths.store / "fraud-1.json").write_text("{")
    with pytest.raises(OperationsError, match="version 1 is damaged"):
        _create(paths, keep=1)


@pytest.mark.parametrize("name", ["fraud-1.sig", "journal.jsonl", "fraud-1.json"])
def test_what_a_link_leads_to_is_in_no_backup(paths: StatePaths, tmp_path: Path, name: str) -> None:
    """Whoever writes into the store cannot have a file of the deployment's, such as a key, carried off by a backup."""
    secret = tmp_path / "signing.pem"
    secret.write_bytes((paths.store / name).read_bytes() if name.endswith(".json") else b"a private key")
    (paths.store / name).unlink(missing_ok=True)
    (paths.store / name).symlink_to(secret)
    with pytest.raises(OperationsError):
        _create(paths)


def test_an_archive_that_is_replaced_is_never_backed_up(paths: StatePaths) -> None:
    """At whatever step another comes to its place: what is backed up is what was registered, or the backup fails."""
    archive = paths.store / "fraud-1.mar"
    whole, made = archive.read_bytes(), 0
    for swap in at_every_step({archive: b"another"}):
        with contextlib.suppress(OperationsError):
            there = StatePaths(paths.root / f"at-{swap.before}", paths.root / f"at-{swap.before}" / "model_store")
            backup.restore(Path(_create(paths).location), there)
            assert (there.store / archive.name).read_bytes() == whole
            made += 1
    assert made


def test_a_backup_that_is_replaced_is_restored_whole_or_not(made: CreatedBackup, paths: StatePaths) -> None:
    """What is put back was verified to its end: another file that comes to its place changes nothing."""
    file, restored = Path(made.location), 0
    for swap in at_every_step({file: b"another"}):
        there = StatePaths(paths.root / f"back-{swap.before}", paths.root / f"back-{swap.before}" / "model_store")
        with contextlib.suppress(OperationsError):
            backup.restore(file, there)
            Registry(there.store).verify(2)
            restored += 1
    assert restored
