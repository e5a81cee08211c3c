"""Tables without a row, however they come about: what takes a table gives as many values, and no error."""

import numpy as np
import pytest

from contract.features import to_matrix
from contract.schema import Contract
from contract.table import Table, joined_tables, read_csv, read_json
from history.evaluation import with_history
from history.plan import Plan
from history.session import BatchSession, HistoryOptions
from tests.gateway.contracts import CONTRACTS, as_csv, as_lines

EMPTY = {
    "header alone": lambda contract: read_csv(contract, as_csv(contract, []).encode()),
    "no row whole": lambda contract: read_csv(contract, as_lines([contract.input_names, ["x"]]).encode()),
    "no row good": lambda contract: read_csv(contract, as_lines([contract.input_names, ["x" * 300] * 9]).encode()),
    "no object": lambda contract: read_json(contract, []),
    "no object that is one": lambda contract: read_json(contract, [5]),
    "no object good": lambda contract: read_json(contract, [{}]),
}


@pytest.fixture(params=EMPTY)
def empty(request: pytest.FixtureRequest, contract: Contract) -> Table:
    """A table without a row."""
    return EMPTY[request.param](contract).table


@pytest.fixture(params=CONTRACTS, ids=lambda contract: contract.name)
def contract(request: pytest.FixtureRequest) -> Contract:
    """Contracts of every shape."""
    found: Contract = request.param
    return found


def test_it_has_a_matrix_of_no_rows(contract: Contract, empty: Table) -> None:
    """Of the contract's width, with the history that training and serving give it."""
    assert empty.rows == 0
    assert to_matrix(contract, with_history(contract, empty, np.empty(0, dtype=np.bool_))).shape == (
        0,
        contract.width,
    )
    plan = Plan.of([contract])
    neutral = plan.default_values(empty.columns, 0) if plan else {}
    assert to_matrix(contract, empty.extended(neutral)).shape == (0, contract.width)


def test_it_can_be_taken_and_joined(empty: Table) -> None:
    """Its columns keep their types: text is not turned into numbers by a file without a row."""
    joined = joined_tables([empty, empty.take(np.empty(0, dtype=np.bool_))])
    assert {name: values.dtype for name, values in joined.columns.items()} == {
        name: values.dtype for name, values in empty.columns.items()
    }


@pytest.mark.parametrize("record", [True, False])
def test_history_has_a_value_of_each_feature_for_none_of_it(contract: Contract, empty: Table, record: bool) -> None:
    """Nothing enters, nothing is kept, and nothing is merged."""
    plan = Plan.of([contract])
    if plan is None:
        return
    session = BatchSession(plan, empty, [], HistoryOptions(record, 10, 10), 0.0)
    while calls := session.entry_calls():
        session.receive_entries([(b"",) * 8] * len(calls))
    values = session.values()
    assert {name: len(found) for name, found in values.items()} == dict.fromkeys(plan.names, 0)
    assert (session.entered_count, session.store_arguments(values), session.merge_arguments()) == (0, (), ())
