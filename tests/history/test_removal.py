"""A transaction that comes again, its values gone, gets what it would get if it came only now."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contract.windows import DAY, HOUR, Aggregate, Window
from history import evaluation as history
from history.evaluation import StoredRecords
from history.removal import RowRemoval
from tests.history import oracle
from tests.history.oracle import AMOUNT, CARD, FEE, Event, Label, Transaction
from tests.history.test_evaluation import Memory, Values, assert_close, of_kind, one, plan_of, row

STREAMS = settings(max_examples=40)


class Forgetful(Memory):
    """One that has lost the values of what it remembers."""

    def repeat(self, transaction: Transaction, *, merged: bool = True) -> tuple[Values, bool]:
        """What a known transaction sees, itself taken out, and whether that cannot be told in full."""
        columns = oracle.columns_of([transaction])
        result, inexact = self.plan.default_values(columns, 1), False
        for layout, windows in self.plan.parts:
            arriving = history.arriving_rows(layout, columns)
            if not len(arriving.places):
                continue
            removal = RowRemoval(layout, self._before(layout, arriving.entities))
            removal.remove(0, arriving.records[0], merged=merged)
            result |= history.evaluate(windows, removal.remaining(), arriving, columns)
            inexact |= removal.inexact
        return {name: values.tolist() for name, values in result.items()}, inexact


def through(memory: Memory, batches: Sequence[Sequence[Event]], but: Transaction | None = None) -> None:
    """Takes all in, but for one transaction and its labels."""
    for batch in batches:
        for label in (each for each in batch if isinstance(each, Label)):
            if but is None or label.id != but.id:
                memory.label(label)
        if transactions := [each for each in of_kind(batch) if each is not but]:
            memory.enter(transactions)


def some(data: st.DataObject, batches: Sequence[Sequence[Event]]) -> Transaction:
    """One of a stream."""
    transactions = [each for batch in batches for each in of_kind(batch)]
    assume(transactions)
    chosen: Transaction = data.draw(st.sampled_from(transactions))
    return chosen


def is_exact(number: float) -> bool:
    """Whether sums of such numbers are exact in any order, and with some of them taken away."""
    return math.isnan(number) or (abs(number) <= 1e6 and number * 4 == round(number * 4))


@STREAMS
@given(st.data(), oracle.windows(), oracle.batches(repeats=False))
def test_where_each_stands_alone_all_is_as_if_it_had_not_come(
    data: st.DataObject, windows: tuple[Window, ...], batches: list[list[Event]]
) -> None:
    """Every aggregate, whatever came before and after it, whatever was said of it: to the last digit."""
    transaction = some(data, batches)
    memory, without = Forgetful(windows), Memory(windows)
    through(memory, batches)
    through(without, batches, but=transaction)
    result, inexact = memory.repeat(transaction, merged=data.draw(st.booleans()))
    assert not inexact
    assert_close(windows, result, without.enter([transaction]), [transaction])


@STREAMS
@given(st.data(), oracle.windows(), oracle.batches(repeats=False))
def test_out_of_a_merged_state_it_is_taken_or_it_is_said(
    data: st.DataObject, windows: tuple[Window, ...], batches: list[list[Event]]
) -> None:
    """Counts and sums are as if it had not come; where a largest, a last or a distinct value may not be, it says so."""
    transaction = some(data, batches)
    numbers = [each.numbers for batch in batches for each in of_kind(batch)]
    assume(all(is_exact(each[name]) for each in numbers for name in (AMOUNT, FEE)))
    memory, without = Forgetful(windows), Memory(windows)
    through(memory, batches)
    memory.merge()
    through(without, batches, but=transaction)
    result, inexact = memory.repeat(transaction)
    expected = without.enter([transaction])
    reported = [each for each in windows if not inexact or each.aggregate not in UNTOLD]
    assert_close(reported, result, expected, [transaction])


UNTOLD = {Aggregate.MAX, Aggregate.SINCE_LAST, Aggregate.DISTINCT}


def test_what_redis_replied_stays_as_it_was() -> None:
    """Its bytes cannot be written to, and others look at them."""
    layout = plan_of([one(Aggregate.SUM, AMOUNT)]).layouts[0]
    arriving = history.arriving_rows(layout, oracle.columns_of([row(0, amount=1), row(1, amount=2)]))
    state = layout.merged(arriving.records["bucket"].astype(np.int64), arriving.records)[1].tobytes()
    removal = RowRemoval(layout, StoredRecords(np.zeros(1, np.int64), np.frombuffer(state, layout.dtype)))
    removal.remove(0, arriving.records[0], merged=True)
    assert removal.remaining().records["count"].tolist() == [1]


@pytest.mark.parametrize("merged", [True, False])
def test_one_that_is_not_there_is_not_taken_from_others(merged: bool) -> None:
    """Entered by another plan it may not stand in this state: where that is not known, nothing is subtracted."""
    window = one(Aggregate.SUM, AMOUNT)
    memory = Forgetful([window])
    memory.enter([row(0, amount=1), row(1, amount=2)])
    result, _ = memory.repeat(row(2, amount=4), merged=merged)
    assert result[window.name] == [3.0 - 4.0 * merged]


def test_of_two_alike_one_is_taken() -> None:
    """Twice the same purchase within a bucket: one stays."""
    layout = plan_of([Window(Aggregate.SUM, CARD, AMOUNT, DAY, HOUR)]).layouts[0]
    arriving = history.arriving_rows(layout, oracle.columns_of([row(0, name="a"), row(0, name="b")]))
    removal = RowRemoval(layout, StoredRecords(np.zeros(2, np.int64), arriving.records))
    for left in (1, 0):
        removal.remove(0, arriving.records[0], merged=True)
        assert len(removal.remaining().records) == left
    assert not removal.inexact
