"""The lines of `fraud check`."""

from operations.jobs.inspections import fault, good, retry_fault, unknown


def test_each_finding_is_a_line() -> None:
    """Its first word says how it is."""
    assert [str(make("x")) for make in (good, fault, unknown)] == ["ok x", "FAULT x", "not looked at: x"]


def test_a_fault_that_goes_away_is_none() -> None:
    """It is looked at again until the timeout."""
    looks = iter([fault("x"), good("x")])
    assert retry_fault(lambda: next(looks), retry_seconds=60) == good("x")
    assert retry_fault(lambda: fault("x"), retry_seconds=0) == fault("x")
