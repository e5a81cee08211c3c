"""Objects of several callers as one table: what each caller's rows are, and whose are left out."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contract.decision import DecisionBands
from contract.description import Description
from contract.golden import GoldenRows
from contract.table import read_json
from gateway.metrics import Metrics
from gateway.models.serving_versions import AdoptedModel, ServingVersions
from gateway.requests.joint_objects import read_together
from tests.gateway.contracts import EVERYTHING, bad_values, good_row
from tests.tiny import card

BANDS = DecisionBands(0.5, 0.9)
SERVING = ServingVersions(
    AdoptedModel(Description(EVERYTHING, card(1), GoldenRows("", ()), "cpu", half_precision=False), BANDS)
)
GOOD = good_row(EVERYTHING)
BAD = [GOOD | {column.name: value} for column in EVERYTHING.inputs for value in bad_values(column)]
OBJECTS: st.SearchStrategy[object] = st.one_of(
    st.builds(lambda identity: good_row(EVERYTHING, identity), st.text("ab", min_size=1, max_size=3)),
    st.sampled_from([*BAD, GOOD | {"strange": 1}, None, [], "text", {f"#{at}": 0 for at in range(99)}]),
)


@given(st.lists(st.lists(OBJECTS, max_size=3), min_size=1, max_size=6))
def test_each_caller_has_the_rows_that_it_has_alone(groups: list[list[object]]) -> None:
    """Whoever else is read with it; who is left out has a fault or no object at all."""
    joint = read_together(groups, SERVING, Metrics())
    shares = {share.place: share for share in joint.callers} if joint else {}
    for place, objects in enumerate(groups):
        alone = read_json(EVERYTHING, objects)
        assert (place in shares) is (bool(objects) and not alone.faults)
        if joint and place in shares:
            share = shares[place]
            own = joint.rows.table.take(np.arange(share.begin, share.end))
            assert (own.row_numbers - share.first_number + 1).tolist() == alone.table.row_numbers.tolist()
            for name, values in alone.table.columns.items():
                np.testing.assert_array_equal(own.columns[name], values)


def test_no_rows_together_where_all_are_at_fault() -> None:
    """Then each is answered by itself."""
    assert read_together([[None], []], SERVING, Metrics()) is None


def test_what_cannot_be_read_together_is_read_alone() -> None:
    """So many faults that they would be refused as one input: whoever has none of them is read again."""
    strange = json.loads(json.dumps([{f"#{at}": 0 for at in range(30)}] * 100))
    assert read_together([[GOOD], *([strange] * 4)], SERVING, Metrics()) is None
