import numpy as np

from contract.table import read_csv
from tests.training.rows import contract
from training.ranges import ranges

HEADER = "ref,when,amount,age,channel"


def test_nearly_all_numbers_lie_in_the_range() -> None:
    """A hundredth on either side is left out; what is missing does not count."""
    lines = [f"{row},2026-01-01,{row},{'' if row % 2 else 30},chip" for row in range(1, 1002)]
    table = read_csv(contract(), "\n".join([HEADER, *lines, ""]).encode()).table
    assert ranges(contract(), table) == {"amount": [11.0, 991.0], "age": [30.0, 30.0]}


def test_a_column_without_a_number_has_no_range() -> None:
    """There is nothing that others could be on another scale than."""
    table = read_csv(contract(), f"{HEADER}\n1,2026-01-01,5,,chip\n".encode()).table
    assert np.isnan(table.columns["age"]).all()
    assert ranges(contract(), table) == {"amount": [5.0, 5.0]}
