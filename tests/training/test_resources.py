import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training import resources
from training.errors import TrainingError


def test_no_more_threads_than_cores() -> None:
    """Whoever wants a thousand gets one for each core; 0 leaves some to others."""
    assert resources.threads(1000) == resources.cores()
    assert resources.threads(1) == 1
    assert 1 <= resources.threads(0) <= max(1, resources.cores() // 2)


def test_less_than_no_thread_is_refused() -> None:
    """A negative number of threads is a mistake."""
    with pytest.raises(TrainingError, match="negative"):
        resources.threads(-1)


def test_something_is_free() -> None:
    """This machine has memory, or the test would not run."""
    assert resources.free_memory(torch.device("cpu")) > 0


@given(st.integers(1, 10**8), st.integers(1, 10**6), st.integers(0, 10**12))
def test_a_batch_is_within_its_limits(rows: int, bytes_per_row: int, free: int) -> None:
    """A power of two from 64 to 2,048, and above 64 no more than its part of the memory."""
    batch = resources.batch(rows, bytes_per_row, free)
    assert resources.MIN_BATCH <= batch <= resources.MAX_BATCH
    assert batch & (batch - 1) == 0
    assert batch == resources.MIN_BATCH or batch * bytes_per_row <= free // resources.SHARE_OF_A_STEP


def test_small_data_gets_small_batches() -> None:
    """A thousand rows are trained on in many steps, a million in large ones."""
    assert resources.batch(1000, 1000, 1 << 34) == resources.MIN_BATCH
    assert resources.batch(1_000_000, 1000, 1 << 34) == resources.MAX_BATCH
