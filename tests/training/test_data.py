import hashlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.features import to_matrix
from contract.schema import TextMatch
from contract.table import MAX_FAULTS, read_csv
from tests.contract.examples import assert_same
from tests.swapping import at_every_step
from tests.training.conftest import TINY
from tests.training.rows import SCHEMA, contract
from training import data
from training.errors import TrainingError
from training.schema import DEFAULT, load_schema, parse_schema
from training.simulator import simulate

HEADER = "ref,when,amount,age,channel,fraud\n"
WEIGHTED = parse_schema(SCHEMA + '[columns.w]\nkind = "weight"\n').contract({})
GOOD = HEADER + "a,2026-01-02,5,30,chip,0\nb,2026-01-01,900,,online,1\n"


def test_rows_are_sorted_by_time_with_their_labels() -> None:
    """Whatever the file's order, rows and labels come out in order of time."""
    labelled = data.from_csv(contract(), GOOD.encode())
    assert labelled.table.columns["ref"].tolist() == ["b", "a"]
    assert labelled.labels.tolist() == [True, False]


def test_rows_without_a_time_come_first_and_are_noted() -> None:
    """A row that may be without a time can only be trained on, and the card says how many there are."""
    allowing = parse_schema(SCHEMA.replace('"timestamp"', '"timestamp"\nmissing = "allow"')).contract({})
    labelled = data.from_csv(allowing, (GOOD + "c,,5,30,chip,0\n").encode())
    assert labelled.table.columns["ref"].tolist() == ["c", "b", "a"]
    assert "without a time, placed before all others: 1." in labelled.notes[0]


def test_unnamed_columns_are_left_out_with_a_note() -> None:
    """A training file may have more columns than the schema names; the note says which were ignored."""
    body = "note,ref,when,amount,age,channel,fraud\nhello,a,2026-01-02,5,30,chip,0\n"
    labelled = data.from_csv(contract(), body.encode())
    assert labelled.rows == 1
    assert "left out: note" in labelled.notes[0]


def test_a_row_of_the_wrong_length_is_refused_beside_unnamed_columns() -> None:
    """Leaving columns out never mends a broken row."""
    body = "note,ref,when,amount,age,channel,fraud\na,2026-01-02,5,30,chip,0\n"
    with pytest.raises(TrainingError, match="field_count"):
        data.from_csv(contract(), body.encode())


def test_bad_cells_are_counted_and_placed_but_not_repeated() -> None:
    """The refusal names row, column and code of bad cells, and never their values."""
    body = GOOD + "c,2026-01-03,secret,30,chip,0\nd,2026-01-03,-7,30,chip,0\n"
    with pytest.raises(TrainingError) as caught:
        data.from_csv(contract(), body.encode())
    message = str(caught.value)
    assert "2 bad cells in 4 rows" in message
    assert "row 3, amount: not_a_number" in message
    assert "secret" not in message


@pytest.mark.parametrize("label", ["2", "yes", "-1"])
def test_other_labels_are_refused(label: str) -> None:
    """Only 0 and 1 (also written true, false, 1.0, 0.0) are labels."""
    with pytest.raises(TrainingError, match="row 3: write 1 for fraud"):
        data.from_csv(contract(), (GOOD + f"c,2026-01-03,5,30,chip,{label}\n").encode())


STATUS = 'kind = "label"\nfraud = ["Chargeback", "2"]\ngenuine = ["paid"]\nunknown = ["Pending"]\nconfirmed = "told"'


def statuses(*rows: str) -> bytes:
    """A file whose label has words, and since when each is known in a column of its own."""
    return "\n".join(["ref,when,amount,age,channel,fraud,told", *rows, ""]).encode()


def test_a_label_is_read_by_its_words() -> None:
    """Several a side, in any case; what is not known yet is as an empty cell."""
    words = parse_schema(SCHEMA.replace('kind = "label"', STATUS)).contract({"channel": ("chip",)})
    body = statuses(
        "a,2026-01-01,5,30,chip, CHARGEBACK,2026-01-05", "b,2026-01-02,5,30,chip,2.0,", "c,2026-01-03,5,30,chip,Paid,",
        "d,2026-01-04,5,30,chip,pending,", "e,2026-01-05,5,30,chip,,2025-01-05",
    )  # fmt: skip
    labelled = data.from_csv(words, body)
    assert labelled.labels.tolist() == [True, True, False]
    assert labelled.unlabelled is not None
    assert labelled.unlabelled.columns["ref"].tolist() == ["d", "e"]
    assert labelled.confirmed is not None
    assert labelled.confirmed[0] == pd.Timestamp("2026-01-05", tz="UTC").timestamp()
    assert "told" not in labelled.table.columns
    assert any("known before their transaction: 1" in note for note in labelled.notes)


def test_a_word_in_none_of_the_lists_is_refused_by_row() -> None:
    """The refusal names the setting and the words that there are, never the cell."""
    words = parse_schema(SCHEMA.replace('kind = "label"', STATUS)).contract({"channel": ("chip",)})
    with pytest.raises(TrainingError, match=r'in 1 row, the first of them row 2.*fraud = \["Yes"\]') as caught:
        data.from_csv(words, statuses("a,2026-01-01,5,30,chip,2,", "b,2026-01-02,5,30,chip,secret,"))
    assert 'fraud = ["chargeback", "2"], genuine = ["paid"], unknown = ["pending"]' in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_column_that_the_label_names_must_be_there() -> None:
    """Since when labels are known is not left out in silence."""
    words = parse_schema(SCHEMA.replace('kind = "label"', 'kind = "label"\nconfirmed = "told"')).contract({})
    with pytest.raises(TrainingError, match="told: missing_column"):
        data.from_csv(words, GOOD.encode())


@pytest.mark.parametrize(
    ("body", "reason"),
    [("", "empty"), (HEADER, "no rows"), ("ref,fraud\na,0\n", "missing_column"), ("\0", "binary"), ('"', "CSV")],
)
def test_unusable_files_are_refused(body: str, reason: str) -> None:
    """A file that is no table of these columns is refused with the reason."""
    with pytest.raises(TrainingError, match=reason):
        data.from_csv(contract(), body.encode())


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A path that leads nowhere is a clear refusal, not a traceback."""
    with pytest.raises(TrainingError, match="cannot be read"):
        data.load(contract(), tmp_path / "nowhere.csv")


def test_parquet_gives_the_same_values_as_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both formats go through one reading path: equal tables and labels, blocks or not."""
    frame = simulate(TINY).head(500)
    frame.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "rows.csv").write_bytes(data.csv_bytes(frame))
    monkeypatch.setattr(data, "BLOCK_ROWS", 150)
    schema = load_schema(DEFAULT).contract({})
    one, other = (data.load(schema, tmp_path / name) for name in ("rows.parquet", "rows.csv"))
    assert one.labels.tolist() == other.labels.tolist()
    for name, values in other.table.columns.items():
        np.testing.assert_array_equal(one.table.columns[name], values)


def test_parquet_nan_and_flags_are_read_as_csv_would_write_them(tmp_path: Path) -> None:
    """NaN is an empty cell and a boolean label is 0 or 1."""
    frame = pd.DataFrame({
        "ref": ["a", "b"], "when": ["2026-01-01"] * 2, "amount": [1.0, 2.0], "age": [np.nan, 3.0],
        "channel": pd.Categorical(["chip", "online"]), "fraud": [True, False],
    })  # fmt: skip
    frame.to_parquet(tmp_path / "rows.parquet")
    labelled = data.load(contract(), tmp_path / "rows.parquet")
    assert labelled.labels.tolist() == [True, False]
    assert np.isnan(labelled.table.columns["age"][0])


def test_a_parquet_file_has_the_hash_of_the_rows_that_were_read(tmp_path: Path) -> None:
    """Another file that comes to its place at any step, a folder's nightly export say, gets no card with this hash."""
    path, other = tmp_path / "rows.parquet", tmp_path / "other.parquet"
    frame = pd.read_csv(io.StringIO(GOOD))
    frame.to_parquet(path)
    frame.iloc[:-1].to_parquet(other)
    rows = {hashlib.sha256(file.read_bytes()).hexdigest(): count for file, count in ((path, 0), (other, 1))}
    for _ in at_every_step({path: other.read_bytes()}):
        labelled = data.load(contract(), path)
        assert len(labelled.labels) == len(frame) - rows[labelled.sha256]


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    """A CSV under a parquet name is named as what is wrong."""
    (tmp_path / "rows.parquet").write_text(GOOD)
    with pytest.raises(TrainingError, match="not a parquet file"):
        data.load(contract(), tmp_path / "rows.parquet")


def test_weights_go_with_their_rows() -> None:
    """Sorted and taken as the rows are; a note says what they come to, and without such a column each is one."""
    body = HEADER.replace("fraud", "fraud,w") + "a,2026-01-02,5,30,chip,0,10.5\nb,2026-01-01,900,,online,1,1\n"
    labelled = data.from_csv(WEIGHTED, body.encode())
    assert labelled.row_weights.tolist() == [1.0, 10.5]
    assert labelled.take(np.array([1])).row_weights.tolist() == [10.5]
    assert "as its w says: 2 rows for 12 transactions" in labelled.notes[0]
    assert data.from_csv(contract(), GOOD.encode()).row_weights.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("-7.25", "weight w is not above zero in 1 row, .* the first of them row 2"),
        ("0", "weight w is not above zero in 1 row, .* the first of them row 2"),
        ("nan", "row 2, w: not_finite"),
        ("heavy", "row 2, w: not_a_number"),
        ("", "row 2, w: missing.*write 1"),
    ],
)
def test_a_weight_that_is_none_is_refused(cell: str, reason: str) -> None:
    """By its row and column; what the cell holds is not repeated."""
    body = HEADER.replace("fraud", "fraud,w") + f"a,2026-01-02,5,30,chip,0,1\nb,2026-01-01,9,,online,1,{cell}\n"
    with pytest.raises(TrainingError, match=reason) as caught:
        data.from_csv(WEIGHTED, body.encode())
    assert "7.25" not in str(caught.value)
    assert "heavy" not in str(caught.value)


def test_labels_may_be_written_in_capitals() -> None:
    """TRUE and False are labels whatever their case."""
    body = HEADER + "a,2026-01-01,5,30,chip,TRUE\nb,2026-01-02,5,30,chip,False\n"
    assert data.from_csv(contract(), body.encode()).labels.tolist() == [True, False]


def test_a_header_of_other_columns_is_refused() -> None:
    """A file of which the schema knows no column is told that, not called empty."""
    with pytest.raises(TrainingError, match="None of the schema's columns is in the header"):
        data.from_csv(contract(), b"x,y\n1,2\n")


def test_other_separators_are_read() -> None:
    """A semicolon file gives what one with commas gives."""
    plain, other = (data.from_csv(contract(), text.encode()) for text in (GOOD, GOOD.replace(",", ";")))
    assert_same(other.table, plain.table)


@pytest.mark.parametrize(
    ("row", "advice"),
    [
        ("c,2026-01-03,5,30,chip", "as many fields as the header"),
        ("c,3.1.2026,5,30,chip,0", "2026-01-31T18:05:00"),
        ("c,2026-01-03,,30,chip,0", 'missing = "allow"'),
        ("c,2026-01-03,-5,30,chip,0", "widen minimum"),
    ],
)
def test_advice_fits_the_fault(row: str, advice: str) -> None:
    """A refusal advises what mends the fault at hand and nothing else."""
    with pytest.raises(TrainingError, match="What to do: .*" + advice) as caught:
        data.from_csv(contract(), (GOOD + row + "\n").encode())
    assert "1 bad cell in 3 rows" in str(caught.value)
    assert ";" not in str(caught.value)


def test_too_many_faults_do_not_blame_the_header() -> None:
    """A file with more bad cells than are listed is refused for its cells."""
    body = HEADER + "a,2026-01-01,x,30,chip,0\n" * (MAX_FAULTS + 1)
    with pytest.raises(TrainingError, match=f"used. More than {MAX_FAULTS:,} cells are at fault"):
        data.from_csv(contract(), body.encode())


@given(st.lists(st.sampled_from(["", "a", "b", "c"])), st.integers(1, 5), st.integers(1, 3))
def test_vocabulary_holds_frequent_values_only(values: list[str], min_count: int, most: int) -> None:
    """Every value with a code occurred often enough, none is missing's, and there are no more than allowed."""
    words = data.vocabulary(np.array(values, dtype=object), min_count, most, TextMatch.EXACT)
    assert len(words) <= most
    assert all(values.count(word) >= min_count for word in words)
    assert "" not in words


SPELLINGS = ["chip", "Chip", "'chip'", "CHIP", "on line", "On-Line", "'on_line'", "new", "", "''"]


@given(
    st.lists(st.sampled_from(SPELLINGS), min_size=1, max_size=12),
    st.lists(st.sampled_from(SPELLINGS), max_size=12),
    st.integers(1, 3),
)
def test_training_and_serving_read_each_spelling_alike(known: list[str], later: list[str], min_count: int) -> None:
    """What is learned from the one way of writing is known in each other one."""
    body = HEADER + "".join(f"{place},2026-01-02,5,30,{text},0\n" for place, text in enumerate(known + later))
    schema = parse_schema(SCHEMA)
    labelled = data.from_csv(data.with_spellings(schema.contract({})), body.encode())
    values = labelled.table.columns["channel"][: len(known)]
    fitted = schema.contract({"channel": data.vocabulary(values, min_count, 9, TextMatch.NORMAL)})
    trained, served = data.respelled(fitted, labelled).table, read_csv(fitted, body.encode()).table
    assert trained.columns["channel"].tolist() == served.columns["channel"].tolist()
    assert to_matrix(fitted, trained).tobytes() == to_matrix(fitted, served).tobytes()


def test_a_value_has_the_spelling_that_is_most_frequent() -> None:
    """All ways of writing it count together; quotes are no part of it."""
    body = HEADER + "".join(f"{text},2026-01-02,5,30,{text},0\n" for text in ["us", "US", "'US'", "Us", "fr"])
    labelled = data.from_csv(data.with_spellings(contract()), body.encode())
    values = labelled.table.columns["channel"]
    assert data.vocabulary(values, 4, 9, TextMatch.NORMAL) == ("US",)
    assert data.vocabulary(values, 2, 9, TextMatch.UNQUOTED) == ("US",)
    assert data.vocabulary(values, 4, 9, TextMatch.UNQUOTED) == ()


def test_rows_without_a_label_are_matched_too() -> None:
    """They are the past of others."""
    body = GOOD + "c,2026-01-03,5,30,CHIP,\n"
    labelled = data.respelled(contract(), data.from_csv(data.with_spellings(contract()), body.encode()))
    assert labelled.unlabelled is not None
    assert labelled.unlabelled.columns["channel"].tolist() == ["chip"]
