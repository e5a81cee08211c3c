"""The newest labelled data: files, and the labels that came in."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from redis import Redis
from rich.console import Console

from contract.labels import FRAUD, GENUINE
from history.keyed_hash import KEY_CHECK
from history.label_update import STORED_LABEL, label_fields
from operations.errors import OperationsError
from operations.retraining.retrain_job import retrain
from operations.retraining.training_data import (
    TrainingData,
    gather_training_data,
)
from operations.settings import StatePaths
from operations.store.registry import Registry
from operations.store.version_archive import read_archive
from tests import valkey
from tests.keys import HISTORY_KEY, KEY
from tests.operations.claims import claims, trained


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A Valkey that keeps labels."""
    with valkey.running(tmp_path) as running:
        yield running.url


def keep(url: str, frame: pd.DataFrame, days: float = 3) -> None:
    """The claims' labels as the gateway keeps them, each known some days after its claim."""
    seconds = pd.to_datetime(frame["filed"]).astype("datetime64[s]").astype("int64").to_numpy().astype(np.float64)
    labels = np.where(frame["fake"] == 1, FRAUD, GENUINE)
    with Redis.from_url(url) as client:
        client.set(KEY_CHECK, KEY.check)
        for month, (rows, fields) in label_fields(KEY.transactions.digests(frame["claim"].tolist()), seconds).items():
            kept = [(labels[row], seconds[row] + days * 86_400, seconds[row], 0) for row in rows.tolist()]
            values = [np.array([each], STORED_LABEL).tobytes() for each in kept]
            client.hset(month.decode(), mapping=dict(zip(fields, values, strict=True)))


def paths(root: Path) -> StatePaths:
    """Of a directory."""
    return StatePaths(root, root / "model_store")


def gather(
    root: Path, data: Path, schema: Path | None = None, days: float | None = None, **env: str
) -> tuple[TrainingData, pd.DataFrame]:
    """What was gathered, and its rows."""
    with gather_training_data(paths(root), env, data, schema, days) as found:
        return found, pd.read_csv(found.path)


def test_one_labelled_file_is_taken_as_it_is(tmp_path: Path) -> None:
    """Where no Redis is configured and nothing is asked of its labels."""
    claims().to_csv(tmp_path / "claims.csv", index=False)
    found, _ = gather(tmp_path, tmp_path / "claims.csv")
    assert found == TrainingData(tmp_path / "claims.csv")


def test_a_file_to_which_no_label_came_is_taken_as_it_is(tmp_path: Path, url: str) -> None:
    """Its bytes stay the same, and a version that was trained on them is known by them."""
    trained(Registry(paths(tmp_path).store), tmp_path / "claims.csv", claims().head(1600), 1)
    found, _ = gather(tmp_path, tmp_path / "claims.csv", REDIS_URL=url, HISTORY_KEY=HISTORY_KEY)
    assert found == TrainingData(tmp_path / "claims.csv")


def test_transactions_get_the_labels_that_came_in(tmp_path: Path, url: str) -> None:
    """A file without labels, by the columns of the newest version; what has no label is the past of others."""
    trained(Registry(paths(tmp_path).store), tmp_path / "old.csv", claims().head(1600), 1)
    claims().drop(columns="fake").to_csv(tmp_path / "claims.csv", index=False)
    keep(url, claims().head(2000))
    found, frame = gather(tmp_path, tmp_path / "claims.csv", REDIS_URL=url, HISTORY_KEY=HISTORY_KEY)
    assert found.note is not None
    assert "2,000 by labels that came in); 400 of 2,400 have no label" in found.note
    assert frame["fake"].head(2000).tolist() == claims().head(2000)["fake"].tolist()
    assert frame["confirmed_at"].head(2000).notna().all()
    assert frame[["fake", "confirmed_at"]].tail(400).isna().all(axis=None)
    assert not found.path.exists()


def test_a_folder_is_gathered_by_a_schema(tmp_path: Path) -> None:
    """Several files with their own labels, and no Redis."""
    folder, schema = tmp_path / "claims", tmp_path / "claims.toml"
    folder.mkdir()
    claims().head(1500).to_csv(folder / "2026-01.csv", index=False)
    claims().tail(1000).to_parquet(folder / "2026-02.parquet")
    (folder / "readme.txt").write_text("not read")
    schema.write_text(
        'name="c"\n[columns.claim]\nkind="id"\n[columns.filed]\nkind="timestamp"\n[columns.fake]\nkind="label"'
    )
    _, frame = gather(tmp_path, folder, schema)
    assert sorted(frame["claim"]) == sorted(claims()["claim"])


def test_old_transactions_without_a_label_are_genuine(tmp_path: Path) -> None:
    """After the stated number of days; younger ones have no label, whatever is known of them."""
    trained(Registry(paths(tmp_path).store), tmp_path / "old.csv", claims().head(1600), 1)
    frame = claims().assign(fake=[*[""] * 400, *claims()["fake"].tail(2000)])
    frame.to_csv(tmp_path / "claims.csv", index=False)
    found, whole = gather(tmp_path, tmp_path / "claims.csv", days=1)
    assert len(whole) == 2400
    assert found.note is not None
    assert "400 genuine by their age" in found.note
    with pytest.raises(OperationsError, match="none of the 2,400 transactions"):
        gather(tmp_path, tmp_path / "claims.csv", days=36_500)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda root: root / "nowhere.csv", "No such file"),
        (lambda root: root, "no CSV or parquet file"),
    ],
)
def test_what_is_not_there_is_refused(make: object, reason: str, tmp_path: Path) -> None:
    """By its name, in one line."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(OperationsError, match=reason):
        gather(tmp_path, make(tmp_path / "empty"))  # type: ignore[operator]


def test_several_files_without_a_schema_or_a_version_are_refused(tmp_path: Path) -> None:
    """Nobody knows which columns are the id, the time and the label."""
    for name in ("1.csv", "2.csv"):
        claims().to_csv(tmp_path / name, index=False)
    with pytest.raises(OperationsError, match="set TRAINING_SCHEMA"):
        gather(tmp_path, tmp_path)


def test_transactions_of_which_nothing_is_known_are_refused(tmp_path: Path, url: str) -> None:
    """There is nothing to learn from yet."""
    trained(Registry(paths(tmp_path).store), tmp_path / "old.csv", claims().head(1600), 1)
    claims().drop(columns="fake").to_csv(tmp_path / "claims.csv", index=False)
    with pytest.raises(OperationsError, match=r"none of the 2,400 transactions in .* has a label"):
        gather(tmp_path, tmp_path / "claims.csv", REDIS_URL=url, HISTORY_KEY=HISTORY_KEY)


def test_a_redis_that_does_not_answer_fails_the_job(tmp_path: Path) -> None:
    """Training without the labels that came in would be another thing than what was asked for."""
    trained(Registry(paths(tmp_path).store), tmp_path / "claims.csv", claims().head(1600), 1)
    with pytest.raises(OperationsError, match="Redis does not answer"):
        gather(
            tmp_path,
            tmp_path / "claims.csv",
            REDIS_URL="redis://127.0.0.1:1/0",
            HISTORY_KEY=HISTORY_KEY,
        )


def test_retraining_learns_from_labels_that_came_in(tmp_path: Path, url: str) -> None:
    """From the schedule's settings to a version whose card counts the joined rows; again, there is nothing new."""
    store = Registry(paths(tmp_path).store)
    trained(store, tmp_path / "old.csv", claims().head(1600), 1)
    claims().drop(columns="fake").to_csv(tmp_path / "claims.csv", index=False)
    keep(url, claims().head(2000))
    settings = {"TRAINING_DATA": str(tmp_path / "claims.csv"), "RETRAIN_RELEASE": "none"}
    settings |= {"REDIS_URL": url, "HISTORY_KEY": HISTORY_KEY}
    note = io.StringIO()
    for _ in range(2):
        retrain(paths(tmp_path), settings, Console(file=note, width=400))
    assert "Version 2 was trained on this very file: nothing is trained." in note.getvalue()
    card = read_archive(store, 2).card
    assert (card.data["source"], card.data["rows"]) == ("claims.csv", 2000)
    assert "confirmed_at" not in read_archive(store, 2).contract.names
