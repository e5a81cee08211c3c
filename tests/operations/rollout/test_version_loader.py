"""How long is waited after a failure, and how often the same is said."""

from hypothesis import given
from hypothesis import strategies as st

from operations.rollout.version_loader import LONGEST_BACKOFF, Backoff, Deduplicator
from tests.operations.reconciler_scenario import ManualClock


def test_pauses_grow_to_a_bound_and_end_with_a_success() -> None:
    """After each failure in a row the wait is longer, up to 30 s; after a success it begins anew."""
    clock = ManualClock()
    pause, waits = Backoff(clock), []
    for _ in range(7):
        assert pause.is_over
        pause.increase()
        began = clock.now
        while not pause.is_over:
            clock.now += 1
        waits.append(clock.now - began)
    assert waits == [1, 3, 7, 15, LONGEST_BACKOFF, LONGEST_BACKOFF, LONGEST_BACKOFF]
    pause.reset()
    assert pause.is_over


@given(texts=st.lists(st.sampled_from(["a", "b"])))
def test_the_same_is_not_said_twice_in_a_row(texts: list[str]) -> None:
    """Each text is said when it is another than the one before."""
    messages: list[str] = []
    deduplicate = Deduplicator(messages.append)
    new = [deduplicate(text) for text in texts]
    assert messages == [text for text, is_new in zip(texts, new, strict=True) if is_new]
    assert new == [index == 0 or texts[index - 1] != text for index, text in enumerate(texts)]


def test_what_was_forgotten_is_said_again() -> None:
    """Trouble that ended and came again is news."""
    messages: list[str] = []
    deduplicate = Deduplicator(messages.append)
    deduplicate("a")
    deduplicate.reset()
    deduplicate("a")
    assert messages == ["a", "a"]
