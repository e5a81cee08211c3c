"""A file of past transactions: read in blocks as if at once, refused by place, never by value."""

import gzip
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.dialect import csv_records
from contract.labels import FRAUD, GENUINE, UNLABELLED, LabelWords
from contract.schema import Kind
from operations.history import past_file
from operations.history.past_file import Refusal
from operations.history.past_transactions import ParsedFile, PastTransactions
from tests.operations.history.pasts import CARDS, HEADER, plan_of, quiet, read, rows, text, without_labels

PLAN = plan_of(CARDS)
CELLS = st.lists(st.lists(st.sampled_from(["a", "1", "", '"q,\n"', '"d""d"', "ü"]), min_size=2, max_size=3), max_size=8)


def past(result: ParsedFile) -> PastTransactions:
    """What there is."""
    assert result.past is not None
    return result.past


def refused(body: bytes) -> str:
    """What is said of a file."""
    with pytest.raises(Refusal) as error:
        read(body, PLAN)
    return str(error.value)


@given(records=CELLS, size=st.integers(1, 40), end=st.sampled_from(["\n", "\r\n"]))
def test_blocks_are_whole_records(records: list[list[str]], size: int, end: str) -> None:
    """However small the blocks, together they are the file, and each is read by itself as its part of the file."""
    body = end.join(",".join(cells) for cells in [*records, []]).encode()
    blocks = list(past_file.csv_blocks(io.BytesIO(body), size))
    assert b"".join(blocks) == body
    assert [record for block in blocks for record in csv_records(block)] == list(csv_records(body))


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is read in many blocks holds what it holds when read in one, the numbers of its rows too."""
    body = text(rows(400))
    whole = past(read(body, PLAN))
    monkeypatch.setattr(past_file.csv_blocks, "__defaults__", (1000,))
    pieces = past(read(body, PLAN))
    assert (whole.ids == pieces.ids).all()
    assert np.array_equal(whole.seconds, pieces.seconds)
    assert np.array_equal(whole.texts["card"][whole.codes["card"]], pieces.texts["card"][pieces.codes["card"]])
    bad = body.replace(b"t300,", b"t300,x", 1)
    assert "row 301, timestamp: not_a_date" in refused(bad)


def test_parquet_is_the_same(tmp_path: Path) -> None:
    """A parquet file gives what its CSV text gives."""
    body = text(rows(300))
    frame = pd.read_csv(io.BytesIO(body), dtype={"transaction_id": str, "card": str, "shop": str})
    frame.assign(unknown=1).to_parquet(tmp_path / "past.parquet", index=False)
    result, same = past(past_file.read(CARDS, PLAN, tmp_path / "past.parquet", quiet)), past(read(body, PLAN))
    assert (result.ids == same.ids).all()
    assert np.array_equal(result.labels, same.labels)
    assert np.array_equal(result.numbers["amount"], same.numbers["amount"])


def test_a_bad_row_refuses_the_file_by_place() -> None:
    """Row and column are named, the cell is not."""
    bad = "t1,2026-01-01T00:00:00,c-4711,s1,secret-amount,chip,0"
    output = refused(text([*rows(3), bad]))
    assert output.startswith("Nothing was loaded: 1 rows are at fault. The first: row 4, amount: not_a_number.")
    assert "secret" not in output
    assert "4711" not in output


def test_a_label_that_is_none_is_at_fault() -> None:
    """Fraud is 1 or true, anything else but 0, false and nothing is a fault."""
    lines = rows(2)
    output = refused(text([lines[0], lines[1][:-1] + "perhaps"]))
    assert "row 2, is_fraud: not_an_option" in output
    assert output.endswith("Which words a label has, its model's schema says: fraud, genuine and unknown.")


def test_labels_are_read_by_the_words_of_the_contract() -> None:
    """And since when they are known, in the column that it names; both may be absent."""
    words = LabelWords.of(["Yes"], ["No"], ["open"])
    label = replace(next(each for each in CARDS.columns if each.kind is Kind.LABEL), words=words, confirmed="told")
    columns = tuple(label if each.kind is Kind.LABEL else each for each in CARDS.columns)
    header, *lines = text(rows(4)).decode().splitlines()
    for position, (word, moment) in enumerate([("yes", "2026-02-03"), ("No", ""), ("OPEN", ""), ("", "")]):
        lines[position] = f"{lines[position].rpartition(',')[0]},{word},{moment}"
    body = "\n".join([f"{header},told", *lines]).encode()
    result = past(past_file.read_bytes(replace(CARDS, columns=columns), PLAN, body, quiet))
    assert result.labels.tolist() == [FRAUD, GENUINE, UNLABELLED, UNLABELLED]
    assert np.isfinite(result.confirmed).tolist() == [True, False, False, False]


def test_bad_rows_can_be_left_out(tmp_path: Path) -> None:
    """With --skip the others are loaded, and those are counted."""
    (tmp_path / "past.csv").write_bytes(text([*rows(5, days=5), "t9,yesterday,c1,s1,x,chip,0", "t8,2026-01-01,c1"]))
    result = past_file.read(CARDS, PLAN, tmp_path / "past.csv", quiet, skip=True)
    assert (result.rows, result.skipped, past(result).rows) == (7, 2, 5)


def test_a_column_that_is_missing_is_named() -> None:
    """Only what history needs must be there."""
    output = refused(b"transaction_id,timestamp,card\nt1,2026-01-01,c1\n")
    assert (
        output
        == "The file's header lacks what the version's history needs (shop: missing_column, amount: missing_column)."
    )


def test_columns_that_history_does_not_need_are_not_looked_at() -> None:
    """Features of the model and columns of nobody may be missing, and may hold anything."""
    body = b"note,transaction_id,timestamp,card,shop,amount\nfirst,t1,2026-01-01,c1,s1,5\n"
    assert past(read(body, PLAN)).rows == 1


def test_labels_may_be_missing() -> None:
    """A file without labels has none, and a cell without one neither."""
    lines = ["t1,2026-01-01,c1,s1,5,chip,1", "t2,2026-01-01,c1,s1,5,chip,", "t3,2026-01-01,c1,s1,5,chip,FALSE"]
    assert past(read(text(lines), PLAN)).labels.tolist() == [FRAUD, UNLABELLED, GENUINE]
    assert past(read(without_labels(lines), PLAN)).labels.tolist() == [UNLABELLED] * 3


def test_when_a_label_was_known_is_read(tmp_path: Path) -> None:
    """Of CSV and parquet, where the file has it; a cell that is no time is at fault."""
    lines = ["t1,2026-01-01,c1,s1,5,chip,1,2026-01-20", "t2,2026-01-01,c1,s1,5,chip,1,"]
    body = text(lines).replace(b"is_fraud\n", b"is_fraud,confirmed_at\n")
    pd.read_csv(io.BytesIO(body)).to_parquet(tmp_path / "past.parquet")
    for result in (read(body, PLAN), past_file.read(CARDS, PLAN, tmp_path / "past.parquet", quiet)):
        assert past(result).confirmed.tolist() == pytest.approx([1768867200.0, np.nan], nan_ok=True)
    assert np.isnan(past(read(text([line.rpartition(",")[0] for line in lines]), PLAN)).confirmed).all()
    assert "row 1, confirmed_at: not_a_date" in refused(body.replace(b"2026-01-20", b"secret"))


def test_what_no_window_sees_any_more_is_left_out() -> None:
    """It is counted back from the newest row, wherever in the file that stands."""
    lines = ["t1,2026-03-01T00:00:00,c1,s1,5,chip,0", "t2,2026-01-29T23:00:00,c1,s1,5,chip,0"]
    lines += ["t3,2026-01-29T22:59:59,c1,s1,5,chip,0"]
    result = read(text(lines), PLAN)
    assert (past(result).rows, result.older) == (2, 1)


def test_a_fraud_that_was_confirmed_late_still_counts() -> None:
    """Its transaction is older than any window, but not what a risk meets of it; of a genuine one nothing is."""
    lines = ["t1,2026-03-01,c1,s1,5,chip,0,", "t2,2026-01-10,c1,s1,5,chip,1,2026-02-25"]
    lines += ["t3,2026-01-10,c1,s1,5,chip,0,2026-02-25", "t4,2026-01-10,c1,s1,5,chip,1,"]
    result = read(text(lines).replace(b"is_fraud\n", b"is_fraud,confirmed_at\n"), PLAN)
    assert (past(result).rows, result.older) == (2, 2)


@pytest.mark.parametrize("body", [b"", b"\n", HEADER.encode(), b"\xff\xfe", b"a;b\n1;2\n"])
def test_no_file_of_transactions_is_refused_in_words(body: bytes) -> None:
    """What is empty, binary or of another kind is told in one line."""
    assert "\n" not in refused(body)


def test_a_quote_out_of_place_is_reported_by_row() -> None:
    """Where the CSV breaks off, the rows before it are counted."""
    assert "not well-formed CSV" in refused(text([*rows(3), 't1,"2026-01-01"x,c1,s1,5,chip,0']))


def test_a_day_and_its_clock_are_one_time(tmp_path: Path) -> None:
    """Both columns are read, of CSV and of parquet."""
    columns = tuple(replace(each, clock="at") if each.name == "timestamp" else each for each in CARDS.columns)
    timed = replace(CARDS, columns=columns)
    body = b"transaction_id,at,timestamp,card,shop,amount\nt1,18:05,2026-01-31,c1,s1,5\n"
    pd.read_csv(io.BytesIO(body)).to_parquet(tmp_path / "past.parquet")
    for result in (read(body, PLAN, timed), past_file.read(timed, PLAN, tmp_path / "past.parquet", quiet)):
        assert past(result).seconds.tolist() == [1769882700.0]


@pytest.mark.parametrize(
    "write",
    [
        lambda body: body.replace(b",", b";"),
        lambda body: body.replace(b",", b"\t").decode().encode("utf-16"),
        lambda body: b"Export of May\n\n" + body,
        gzip.compress,
    ],
)
@pytest.mark.parametrize("skip", [True, False])
def test_a_foreign_file_gives_what_the_plain_one_gives(
    write: Callable[[bytes], bytes], skip: bool, tmp_path: Path
) -> None:
    """Other separators and encodings, lines above the header, compressed."""
    body = text(rows(40, days=5))
    (tmp_path / "plain.csv").write_bytes(body)
    (tmp_path / "foreign.csv").write_bytes(write(body))
    plain, foreign = (
        past_file.read(CARDS, PLAN, tmp_path / f"{name}.csv", quiet, skip=skip) for name in ("plain", "foreign")
    )
    assert plain.past is not None
    assert foreign.past is not None
    np.testing.assert_equal(foreign.past.seconds, plain.past.seconds)
    np.testing.assert_equal(foreign.past.numbers, plain.past.numbers)
    np.testing.assert_equal(foreign.past.codes, plain.past.codes)


@pytest.mark.parametrize("skip", [True, False])
def test_the_whole_of_a_past_tells_how_its_numbers_are_written(skip: bool, tmp_path: Path) -> None:
    """A block with 1.201 alone is read by what the last row of the file says of the sign, and not by itself."""
    lines = [f't{number},2026-01-{1 + number % 5:02d},c1,s1,"1.201",chip,0' for number in range(200)]
    (tmp_path / "past.csv").write_bytes(text([*lines, 't999,2026-01-05,c1,s1,"7,50",chip,0']))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(past_file.csv_blocks, "__defaults__", (1000,))
        result = past_file.read(CARDS, PLAN, tmp_path / "past.csv", quiet, skip=skip)
    assert result.past is not None
    assert set(result.past.numbers["amount"].tolist()) == {1201.0, 7.5}
    assert result.skipped == 0
