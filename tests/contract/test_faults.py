from contract.faults import Fault, FaultCode, InputError, NotTextError


def test_a_code_is_its_own_name() -> None:
    """A code reads in an answer as it does in the source, in lower case."""
    assert all(code == code.name.lower() for code in FaultCode)


def test_refused_without_faults_has_none() -> None:
    """An input without a readable header is refused with a reason and an empty list, its own each time."""
    first, second = InputError("Why."), InputError("Why.")
    assert (str(first), first.faults) == ("Why.", [])
    assert first.faults is not second.faults


def test_refused_carries_its_faults() -> None:
    """The faults of a header travel with the refusal."""
    fault = Fault(None, "amount", FaultCode.MISSING_COLUMN)
    assert InputError("Why.", [fault]).faults == [fault]


def test_no_text_is_refused() -> None:
    """Who handles what is refused also handles what is no text."""
    assert issubclass(NotTextError, InputError)
    assert issubclass(InputError, ValueError)


def test_faults_of_rows_sort_by_place() -> None:
    """Faults are ordered by row, then column."""
    faults = [Fault(2, "a", FaultCode.MISSING), Fault(1, "b", FaultCode.MISSING), Fault(1, "a", FaultCode.MISSING)]
    assert sorted(faults) == faults[::-1]
