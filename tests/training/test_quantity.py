import pytest

from training.quantity import quantity


@pytest.mark.parametrize(("number", "text"), [(0, "0 frauds"), (1, "1 fraud"), (1500, "1,500 frauds")])
def test_counted(number: int, text: str) -> None:
    """One thing is not told in the plural."""
    assert quantity(number, "fraud") == text
