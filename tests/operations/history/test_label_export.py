"""Labels that came in, joined with a file of transactions."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from redis import Redis
from typer.testing import CliRunner

from contract.labels import FRAUD, GENUINE, LabelWords
from contract.schema import Column, Contract, Kind, TimeFormat
from history.keyed_hash import KEY_CHECK
from history.label_update import STORED_LABEL, label_fields
from operations.commands.history import label_commands
from operations.errors import OperationsError
from operations.history import label_export
from operations.history.label_export import ExportCounts, ReceivedLabels, export
from operations.settings import StatePaths
from operations.store.registry import Registry
from tests import tiny, valkey
from tests.keys import HISTORY_KEY, KEY
from tests.operations import archives

HEADER = "amount,transaction_id,timestamp"
JANUARY, FEBRUARY = "2026-01-31T23:59:59", "2026-02-01T00:00:00"
SECONDS = {JANUARY: 1769903999.0, FEBRUARY: 1769904000.0}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Valkey in which labels of two months are kept."""
    with valkey.running(tmp_path) as running, Redis.from_url(running.url) as client:
        client.set(KEY_CHECK, KEY.check)
        keep(client, "a", JANUARY, FRAUD, 1770000000.0)
        keep(client, "b", FEBRUARY, GENUINE, 1770000001.5)
        keep(client, "c", JANUARY, FRAUD, float("nan"))
        yield client


def keep(client: Redis, identity: str, moment: str, label: int, confirmed: float) -> None:
    """A label as the gateway's script keeps it, with the answer behind it."""
    value = np.array([(label, confirmed, SECONDS[moment], 0)], STORED_LABEL).tobytes() + b"\1\7\0\0\0"
    ((month, (_, fields)),) = label_fields(KEY.transactions.digests([identity]), np.array([SECONDS[moment]])).items()
    client.hset(month.decode(), fields[0], value)  # type: ignore[arg-type]


def written(directory: Path, *rows: str, header: str = HEADER) -> Path:
    """A file of transactions."""
    file = directory / "transactions.csv"
    file.write_text("\n".join([header, *rows, ""]))
    return file


def exported(redis: Redis, file: Path, contract: Contract = tiny.CONTRACT, days: float | None = None) -> list[str]:
    """The lines of what is written."""
    out = file.parent / "labelled.csv"
    export(ReceivedLabels(redis, KEY), contract, [file], out, days)
    return out.read_text().splitlines()


def test_rows_with_a_label_are_written_with_it(redis: Redis, tmp_path: Path) -> None:
    """In their order, with the label's column and the moment; the label of others stays empty."""
    rows = [f"1,a,{JANUARY}", f"2,b,{FEBRUARY}", f"3,x,{FEBRUARY}", f'"4,5", c ,{JANUARY}']
    out = tmp_path / "labelled.csv"
    result = export(ReceivedLabels(redis, KEY), tiny.CONTRACT, [written(tmp_path, *rows)], out)
    assert result == ExportCounts(rows=4, frauds=2, genuine=1, unlabelled=1, received=3)
    assert str(result) == ("3 labelled transactions, 2 of them fraud (3 by labels that came in); 1 of 4 have no label")
    assert out.read_text().splitlines() == [
        f"{HEADER},is_fraud,confirmed_at",
        f"1,a,{JANUARY},1,2026-02-02T02:40:00+00:00",
        f"2,b,{FEBRUARY},0,2026-02-02T02:40:01.500000+00:00",
        f"3,x,{FEBRUARY},,",
        f'"4,5", c ,{JANUARY},1,',
    ]


def test_an_id_in_another_month_has_no_label(redis: Redis, tmp_path: Path) -> None:
    """A label is of the transaction that was scored, not of whatever has its id."""
    assert exported(redis, written(tmp_path, f"1,a,{FEBRUARY}"))[1:] == [f"1,a,{FEBRUARY},,"]


def test_rows_without_a_label_can_count_as_genuine(redis: Redis, tmp_path: Path) -> None:
    """If they are old enough."""
    lines = exported(redis, written(tmp_path, f"1,x,{JANUARY}", "2,y,2300-01-01"), days=1)
    assert lines[1:] == [f"1,x,{JANUARY},0,", "2,y,2300-01-01,,"]


def test_where_others_count_as_genuine_later_a_recent_fraud_has_no_label_yet(redis: Redis, tmp_path: Path) -> None:
    """Else the newest period would be of frauds alone: 7% where the truth is 2%."""
    file = written(tmp_path, f"1,x,{JANUARY},1", "2,y,2300-01-01,1", "3,z,2300-01-01,", header=f"{HEADER},is_fraud")
    out = tmp_path / "labelled.csv"
    result = export(ReceivedLabels(redis, KEY), tiny.CONTRACT, [file], out, 1)
    assert out.read_text().splitlines()[1:] == [f"1,x,{JANUARY},1,", "2,y,2300-01-01,,", "3,z,2300-01-01,,"]
    assert result == ExportCounts(rows=3, frauds=1, unlabelled=2, too_recent=1)
    assert str(result).endswith("2 of 3 have no label, 1 for they are too young")


def test_a_label_that_came_in_takes_the_place_of_the_files_own(redis: Redis, tmp_path: Path) -> None:
    """It is the newer one; where none came in the file's own stays, with its moment, and none at all stays none."""
    rows = [f"1,0,a,{JANUARY},", f"2,1,b,{FEBRUARY},2026-02-09", f"3,TRUE,x,{JANUARY},2026-03-01", f"4,,y,{JANUARY},"]
    file = written(tmp_path, *rows, header="amount,is_fraud,transaction_id,timestamp,confirmed_at")
    assert exported(redis, file) == [
        f"{HEADER},is_fraud,confirmed_at",
        f"1,a,{JANUARY},1,2026-02-02T02:40:00+00:00",
        f"2,b,{FEBRUARY},0,2026-02-02T02:40:01.500000+00:00",
        f"3,x,{JANUARY},TRUE,2026-03-01",
        f"4,y,{JANUARY},,",
    ]


def test_labels_are_written_in_the_words_of_the_contract(redis: Redis, tmp_path: Path) -> None:
    """And since when they are known in its column and form: training reads all of the file alike."""
    label = Column("is_fraud", Kind.LABEL, words=LabelWords.of(["Yes"], ["No"], ["open"]), confirmed="told")
    label = replace(label, time_format=TimeFormat.DAY_FIRST)
    columns = tuple(label if each.kind is Kind.LABEL else each for each in tiny.CONTRACT.columns)
    rows = [f"1,a,{JANUARY},", f"2,b,{FEBRUARY},yes", f"3,x,{JANUARY},YES", f"4,y,{JANUARY},Open"]
    file = written(tmp_path, *rows, header=f"{HEADER},is_fraud")
    lines = exported(redis, file, replace(tiny.CONTRACT, columns=columns))
    assert lines[0] == f"{HEADER},is_fraud,told"
    assert [line.split(",")[3] for line in lines[1:]] == ["yes", "no", "YES", ""]
    assert lines[1].split(",")[4].startswith("02/02/2026")


def test_of_several_files_the_newest_has_an_id(redis: Redis, tmp_path: Path) -> None:
    """Its columns may be in another order; a file's own repeats stay, and are training's to count."""
    old, new = tmp_path / "1.csv", tmp_path / "2.csv"
    old.write_text(f"{HEADER},is_fraud\n1,p,{JANUARY},1\n2,q,{JANUARY},0\n")
    new.write_text(f"is_fraud,timestamp,amount,transaction_id\n0,{JANUARY},8,p\n0,{JANUARY},8,p\n,{JANUARY},9,a\n")
    out = tmp_path / "labelled.csv"
    result = export(ReceivedLabels(redis, KEY), tiny.CONTRACT, [old, new], out)
    assert result == ExportCounts(rows=5, frauds=1, genuine=3, received=1, superseded=1)
    assert out.read_text().splitlines() == [
        "timestamp,amount,transaction_id,is_fraud,confirmed_at",
        f"{JANUARY},8,p,0,",
        f"{JANUARY},8,p,0,",
        f"{JANUARY},9,a,1,2026-02-02T02:40:00+00:00",
        f"{JANUARY},2,q,0,",
    ]


def test_files_with_other_columns_are_refused(redis: Redis, tmp_path: Path) -> None:
    """By the name of the column that one of them lacks."""
    (tmp_path / "1.csv").write_text(f"{HEADER},more\n1,p,{JANUARY},x\n")
    (tmp_path / "2.csv").write_text(f"{HEADER}\n1,p,{JANUARY}\n")
    with pytest.raises(OperationsError, match=r"the file 1.csv and a newer one do not both have the columns more"):
        export(
            ReceivedLabels(redis, KEY), tiny.CONTRACT, [tmp_path / "1.csv", tmp_path / "2.csv"], tmp_path / "out.csv"
        )


def test_parquet_is_joined_like_csv(redis: Redis, tmp_path: Path) -> None:
    """Its cells are written as an upload of it would have them."""
    file = tmp_path / "rows.parquet"
    pd.DataFrame({"amount": [1.5], "transaction_id": ["a"], "timestamp": [pd.Timestamp(JANUARY)]}).to_parquet(file)
    (line,) = exported(redis, file)[1:]
    assert line.split(",")[:2] == ["1.5", "a"]
    assert line.endswith(",1,2026-02-02T02:40:00+00:00")


@pytest.mark.parametrize(
    ("form", "moment", "known"),
    [
        (TimeFormat.DAY_FIRST, "31/01/2026 23:59:59", "02/02/2026 02:40:00"),
        (TimeFormat.MILLISECONDS, "1769903999000", "1770000000000.000"),
    ],
)
def test_the_moment_is_written_as_the_times_are(
    redis: Redis, form: TimeFormat, moment: str, known: str, tmp_path: Path
) -> None:
    """Training reads both in one form."""
    columns = tuple(replace(each, time_format=form) if each.name == "timestamp" else each for each in tiny.COLUMNS)
    contract = Contract("clock", columns, tiny.FEATURES)
    assert exported(redis, written(tmp_path, f"1,a,{moment}"), contract)[1:] == [f"1,a,{moment},1,{known}"]


@pytest.mark.parametrize(
    ("form", "moment", "known"),
    [
        (TimeFormat.DAY_FIRST, "01/02/2026 00:59:59", "02/02/2026 03:40:00"),
        (TimeFormat.ISO, "2026-02-01T00:59:59", "2026-02-02T02:40:00+00:00"),
    ],
)
def test_the_moment_is_written_by_the_clocks_of_the_zone(
    redis: Redis, form: TimeFormat, moment: str, known: str, tmp_path: Path
) -> None:
    """Unless it names its offset."""
    time = replace(tiny.COLUMNS[1], time_format=form, zone="Europe/Berlin")
    contract = replace(tiny.CONTRACT, columns=(tiny.COLUMNS[0], time, *tiny.COLUMNS[2:]))
    assert exported(redis, written(tmp_path, f"1,a,{moment}"), contract)[1:] == [f"1,a,{moment},1,{known}"]


def test_a_time_in_parts_finds_its_labels(redis: Redis, tmp_path: Path) -> None:
    """Each part is written as it is."""
    parts = ("Year", "Month", "Day", "At")
    time = replace(tiny.COLUMNS[1], time_format=TimeFormat.YEAR_FIRST, parts=parts)
    contract = replace(tiny.CONTRACT, columns=(tiny.COLUMNS[0], time, *tiny.COLUMNS[2:]))
    file = written(tmp_path, "1,a,2026,1,31,235959", header=HEADER.replace("timestamp", ",".join(parts)))
    assert exported(redis, file, contract)[1:] == ["1,a,2026,1,31,235959,1,2026/02/02 02:40:00"]


def test_a_large_file_is_joined_in_blocks(redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block with its own labels."""
    monkeypatch.setattr(label_export, "EXPORT_BLOCK_ROWS", 2)
    rows = [f"{place},{'a' if place == 4 else place},{JANUARY}" for place in range(7)]
    lines = exported(redis, written(tmp_path, *rows))[1:]
    assert [(line[0], line.split(",")[3]) for line in lines] == [(str(n), "1" if n == 4 else "") for n in range(7)]


def test_times_in_seconds_are_written_as_seconds(redis: Redis, tmp_path: Path) -> None:
    """As the file has them."""
    columns = tuple(
        replace(each, time_format=TimeFormat.SECONDS) if each.name == "timestamp" else each for each in tiny.COLUMNS
    )
    contract = Contract("clock", columns, tiny.FEATURES[:3])
    assert exported(redis, written(tmp_path, "1,a,1769903999"), contract)[1:] == ["1,a,1769903999,1,1770000000.0"]
    with pytest.raises(OperationsError, match="how old"):
        export(ReceivedLabels(redis, KEY), contract, [tmp_path / "transactions.csv"], tmp_path / "other.csv", 30)


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        (HEADER, "1,a,secret", "row 2, timestamp: not_a_date"),
        (HEADER, "1,secret", "row 2 has another number of fields"),
        ("amount,timestamp", "", "no column transaction_id"),
        (HEADER, '"', "no CSV file"),
    ],
)
def test_a_file_that_cannot_be_joined_is_refused(
    redis: Redis, tmp_path: Path, header: str, row: str, words: str
) -> None:
    """By row and column, never by value; nothing is left behind."""
    file = written(tmp_path, *([f"1,a,{JANUARY}", row] if header == HEADER else []), header=header)
    before = set(tmp_path.iterdir())
    with pytest.raises(OperationsError, match=words) as refused:
        exported(redis, file)
    assert "secret" not in str(refused.value)
    assert set(tmp_path.iterdir()) == before


def test_no_file_is_written_over(redis: Redis, tmp_path: Path) -> None:
    """Least of all the one that is read."""
    file = written(tmp_path, f"1,a,{JANUARY}")
    with pytest.raises(OperationsError, match="exists"):
        export(ReceivedLabels(redis, KEY), tiny.CONTRACT, [file], file)


def test_no_link_is_written_through(redis: Redis, tmp_path: Path) -> None:
    """Neither one beside the name, wherever a part of a file may lie, nor one under it that leads nowhere yet."""
    file, out, other = written(tmp_path, f"1,a,{JANUARY}"), tmp_path / "labelled.csv", tmp_path / "other"
    other.write_text("mine")
    (tmp_path / f".{out.name}.part").symlink_to(other)
    assert len(exported(redis, file)) == 2
    assert other.read_text() == "mine"
    (tmp_path / "link.csv").symlink_to(tmp_path / "nothing")
    with pytest.raises(OperationsError, match="exists"):
        export(ReceivedLabels(redis, KEY), tiny.CONTRACT, [file], tmp_path / "link.csv")


def test_the_columns_are_those_of_the_version_in_the_store(redis: Redis, tmp_path: Path) -> None:
    """The newest where none is live; Redis is where REDIS_URL says, and its silence is an error for people."""
    paths = StatePaths(tmp_path, tmp_path / "model_store")
    file, out = written(tmp_path, f"1,a,{JANUARY}"), tmp_path / "labelled.csv"
    there = {"REDIS_URL": valkey_url(redis), "HISTORY_KEY": HISTORY_KEY}
    with pytest.raises(OperationsError, match="no model version"):
        label_export.run(paths, there, file, out)
    archives.add(Registry(paths.store), 1)
    assert label_export.run(paths, there, file, out) == ExportCounts(rows=1, frauds=1, received=1)
    nowhere = {"REDIS_URL": "redis://:secret@127.0.0.1:1/0", "HISTORY_KEY": HISTORY_KEY}
    with pytest.raises(OperationsError, match="Redis does not answer"):
        label_export.run(paths, nowhere, file, tmp_path / "other.csv")


def test_the_command_says_what_it_wrote(redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line: the file, and the counts."""
    archives.add(Registry(tmp_path / "model_store"), 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", valkey_url(redis))
    monkeypatch.setenv("HISTORY_KEY", HISTORY_KEY)
    written(tmp_path, f"1,a,{JANUARY}", f"2,x,{JANUARY}")
    commands = typer.Typer()
    commands.add_typer(label_commands, name="labels")
    arguments = ["labels", "export", "transactions.csv", "-o", "labelled.csv", "--genuine-after", "1"]
    done = CliRunner().invoke(commands, arguments)
    assert done.output == (
        "Wrote labelled.csv: 2 labelled transactions, 1 of them fraud (1 by labels that came in, 1 genuine by their "
        "age); 0 of 2 have no label.\n"
    )


def valkey_url(redis: Redis) -> str:
    """Where a client's server is."""
    options = redis.connection_pool.connection_kwargs
    return f"redis://:{options['password']}@{options['host']}:{options['port']}/0"


def test_a_time_in_two_columns_finds_its_labels(redis: Redis, tmp_path: Path) -> None:
    """Both are read, and both are written as they are; a file that lacks one is refused."""
    column = replace(tiny.CONTRACT.columns[1], clock="at")
    assert column.kind == "timestamp"
    contract = replace(
        tiny.CONTRACT, columns=tuple(column if each.name == column.name else each for each in tiny.COLUMNS)
    )
    file = written(tmp_path, "1,a,2026-01-31,23:59:59", "2,b,2026-02-01,00:00:00", header=f"{HEADER},at")
    lines = exported(redis, file, contract)
    assert [line.rsplit(",", 2)[:2] for line in lines[1:]] == [
        ["1,a,2026-01-31,23:59:59", "1"],
        ["2,b,2026-02-01,00:00:00", "0"],
    ]
    (tmp_path / "labelled.csv").unlink()
    with pytest.raises(OperationsError, match="no column at"):
        exported(redis, written(tmp_path, f"1,a,{JANUARY}"), contract)
