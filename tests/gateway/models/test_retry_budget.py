"""The budget of retries to the model server."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.models.retry_budget import MAX_TOKENS, TOKENS_PER_ATTEMPT, TOKENS_PER_SECOND, RetryBudget


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=200))
def test_retries_never_exceed_what_attempts_and_time_have_added(events: list[tuple[float, bool]]) -> None:
    """However attempts, failures and pauses fall, retries stay within the full bucket plus what was added since."""
    now, attempts = 0.0, 0
    wait_for_count: list[None] = []
    budget = RetryBudget(lambda: wait_for_count.append(None), lambda: now)
    for seconds, fails in events:
        now += seconds
        attempts += 1
        budget.record_attempt()
        if fails:
            budget.try_acquire()
    assert len(wait_for_count) <= MAX_TOKENS + TOKENS_PER_ATTEMPT * attempts + TOKENS_PER_SECOND * now


def test_an_outage_is_repeated_by_a_tenth_at_most() -> None:
    """When each of a thousand requests in a moment fails, a tenth of them and the reserve are sent again."""
    budget = RetryBudget(clock=lambda: 0.0)
    retries = 0
    for _ in range(1000):
        budget.record_attempt()
        retries += budget.try_acquire()
    assert retries <= MAX_TOKENS + 1000 * TOKENS_PER_ATTEMPT


def test_the_bucket_fills_again_with_time() -> None:
    """A budget that was used up allows a retry a second later."""
    now = 0.0
    budget = RetryBudget(clock=lambda: now)
    while budget.try_acquire():
        pass
    now = 1.0
    budget.record_attempt()
    assert budget.try_acquire()
