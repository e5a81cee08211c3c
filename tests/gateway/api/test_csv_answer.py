"""The uploaded file with columns added: the sent bytes where they are plain, else what csv writes."""

import csv
import io
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.api import csv_answer
from gateway.api.csv_answer import ADDED_COLUMNS, as_csv, escape_formula
from tests.contract.examples import CONTRACT, INPUTS
from tests.gateway.api.scored import scored

SIGNS = "=+-@;, \u00a0\u200b\ufeff\uff1d\u3000\u1680\u2028\x0b\x1c\x85ae5é'"
TEXTS = st.text(st.sampled_from(SIGNS.replace(",", "")), max_size=6) | st.sampled_from(["", "-5", "chip", "a;=1"])
ROWS = st.lists(st.lists(TEXTS, min_size=len(INPUTS), max_size=len(INPUTS)), min_size=1, max_size=8)
PROBABILITY = st.floats(0, 1, width=32) | st.sampled_from([1e-7, 1.5e-9, 0.0, 1.0])


def written(header: tuple[str, ...], rows: list[list[str]], line_end: str, quoting: int = csv.QUOTE_NONE) -> str:
    """A file of these rows."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=quoting, lineterminator=line_end, quotechar=None if quoting == 3 else '"')  # type: ignore[arg-type]
    writer.writerows([header, *rows])
    return text.getvalue()


DIALECTS = st.tuples(st.sampled_from(["", "\ufeff"]), st.sampled_from(["\n", "\r\n"]), st.booleans())
"""Byte order mark, line ends, and whether the last line lacks its own."""


@given(ROWS, st.permutations(INPUTS), DIALECTS, st.data())
def test_a_plain_file_is_answered_like_the_same_file_in_quotes(
    rows: list[list[str]], header: list[str], dialect: tuple[str, str, bool], data: st.DataObject
) -> None:
    """Spliced bytes and rewritten cells are the same, formulas and all."""
    mark, line_end, cut = dialect
    probabilities = np.array([data.draw(PROBABILITY) for _ in rows], dtype=np.float32)
    result = scored(CONTRACT, ["t"] * len(rows), probabilities, 3)
    plain = mark + written(tuple(header), rows, line_end)
    quoted = written(tuple(header), rows, "\n", csv.QUOTE_ALL)
    body = plain.removesuffix(line_end) if cut else plain
    with patch.object(csv_answer, "PIECE_BYTES", data.draw(st.integers(1, 99))):
        assert as_csv(result, body.encode()) == as_csv(result, quoted.encode())


@given(st.lists(PROBABILITY, min_size=1, max_size=50))
@example([1e-5, 9.9e-5, 1e-45, 1.1754944e-38, 0.1, 0.3])
def test_probabilities_are_written_in_the_fewest_digits_and_without_an_exponent(values: list[float]) -> None:
    """As numpy writes them."""
    probabilities = np.array(values, dtype=np.float32)
    result = scored(CONTRACT, ["t"] * len(values), probabilities, 3)
    text = written(INPUTS, [[*"abcdefg"]] * len(values), "\n")
    answered = list(csv.DictReader(io.StringIO(as_csv(result, text.encode()).decode())))
    expected = [np.format_float_positional(each, trim="0") for each in probabilities]
    assert [row["fraud_probability"] for row in answered] == expected


@pytest.mark.parametrize("odd", ['a"b,1', '"a\nb",1', "a,1\n\nb,2", "a,1\r\nb,2", "a\t=b,1", "a,1\rb,2"])
def test_a_file_that_is_not_plain_is_written_anew(odd: str) -> None:
    """Quotes, tabs, blank lines and mixed line ends: each record has its cells and the added ones behind them."""
    body = f"id,card\n{odd}\n"
    records = [record for record in csv.reader(io.StringIO(body, newline=""), strict=True) if record][1:]
    result = scored(CONTRACT, ["t"] * len(records), np.full(len(records), 0.25, dtype=np.float32), 99)
    answered = list(csv.reader(io.StringIO(as_csv(result, body.encode()).decode(), newline="")))
    assert answered[0] == ["id", "card", *ADDED_COLUMNS]
    assert [row[:2] for row in answered[1:]] == [[escape_formula(cell) for cell in record] for record in records]
    assert {tuple(row[2:4]) for row in answered[1:]} == {("0.25", "approve")}
