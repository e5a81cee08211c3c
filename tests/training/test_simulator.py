import pandas as pd
import pytest

from tests.training.conftest import TINY
from training.errors import TrainingError
from training.simulator import CEILING, Simulation, simulate


def test_same_seed_same_rows() -> None:
    """A simulation is repeatable to the last cell."""
    pd.testing.assert_frame_equal(simulate(TINY), simulate(TINY))


def test_other_seed_other_rows() -> None:
    """Another seed gives other transactions."""
    other = simulate(Simulation(seed=9, days=TINY.days, customers=TINY.customers, terminals=TINY.terminals))
    assert not other["amount"].head(50).equals(simulate(TINY)["amount"].head(50))


def test_rows_come_in_order_of_time_with_unique_ids() -> None:
    """Transactions are numbered in the order in which they happened."""
    frame = simulate(TINY)
    assert frame["timestamp"].is_monotonic_increasing
    assert frame["transaction_id"].is_unique


def test_fraud_is_rare_and_the_ceiling_tells() -> None:
    """About one transaction in a hundred is fraud, and most above the ceiling are."""
    frame = simulate(Simulation(days=60, customers=500, terminals=600))
    assert 0.004 < frame["is_fraud"].mean() < 0.016
    assert frame.loc[frame["amount"] > CEILING, "is_fraud"].mean() > 0.7


def test_fraud_shows_in_channel_and_country() -> None:
    """Fraud is swiped and foreign more often than genuine payments, but no value is fraud alone."""
    frame = simulate(Simulation(days=60, customers=500, terminals=600))
    by_channel = frame.groupby("channel")["is_fraud"].mean()
    assert by_channel["swipe"] > 3 * by_channel["chip"]
    assert frame.groupby("country")["is_fraud"].mean().between(0.0005, 0.5).all()


def test_smallest_world_is_simulated() -> None:
    """One terminal and one customer are enough."""
    assert len(simulate(Simulation(days=30, customers=1, terminals=1))) > 0


def test_empty_world_is_refused() -> None:
    """Without customers there is nothing to simulate."""
    with pytest.raises(TrainingError, match="at least"):
        Simulation(customers=0)
