from contract.faults import Code, Fault, NotText, Refused


def test_a_code_is_its_own_name() -> None:
    """A code reads in an answer as it does in the source, in lower case."""
    assert all(code == code.name.lower() for code in Code)


def test_refused_without_faults_has_none() -> None:
    """An input without a readable header is refused with a reason and an empty list, its own each time."""
    first, second = Refused("Why."), Refused("Why.")
    assert (str(first), first.faults) == ("Why.", [])
    assert first.faults is not second.faults


def test_refused_carries_its_faults() -> None:
    """The faults of a header travel with the refusal."""
    fault = Fault(None, "amount", Code.MISSING_COLUMN)
    assert Refused("Why.", [fault]).faults == [fault]


def test_no_text_is_refused() -> None:
    """Who handles what is refused also handles what is no text."""
    assert issubclass(NotText, Refused)
    assert issubclass(Refused, ValueError)


def test_faults_of_rows_sort_by_place() -> None:
    """Faults are ordered by row, then column."""
    faults = [Fault(2, "a", Code.MISSING), Fault(1, "b", Code.MISSING), Fault(1, "a", Code.MISSING)]
    assert sorted(faults) == faults[::-1]
