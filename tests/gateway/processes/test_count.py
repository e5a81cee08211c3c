"""How many processes a gateway has by itself, and what each may take."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.processes import count as module
from gateway.processes.count import process_counts, share
from gateway.processes.roles import ProcessCounts
from gateway.settings import BASE_BYTES, SHARED_LIMITS, GatewaySettings

GIGABYTE = 1_000_000_000


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with 64 GB of memory, and as many processors as a test says."""
    monkeypatch.setattr(module, "physical_memory", lambda: 64 * GIGABYTE)
    return monkeypatch


@pytest.mark.parametrize(
    ("processors", "expected"),
    [(1, (1, 0)), (2, (1, 1)), (3, (1, 1)), (4, (2, 1)), (8, (4, 2)), (16, (8, 4)), (128, (8, 4))],
)
def test_half_of_the_processors_take_connections(
    machine: pytest.MonkeyPatch, tmp_path: Path, processors: int, expected: tuple[int, int]
) -> None:
    """TorchServe, Redis and callers need the other half; half as many, one at least, serve large bodies."""
    machine.setattr("os.sched_getaffinity", lambda _: set(range(processors)))
    assert process_counts(GatewaySettings(api_key="k"), tmp_path) == ProcessCounts(*expected)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(1 << 30, (1, 0)), (1_490_000_000, (1, 1)), (1_489_999_999, (1, 0)), (1_860_000_000, (2, 1)), (8 << 30, (8, 4))],
)
def test_a_container_has_as_many_as_its_memory_holds(
    machine: pytest.MonkeyPatch, tmp_path: Path, limit: int, expected: tuple[int, int]
) -> None:
    """With the limits that each has where none is set."""
    machine.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    (tmp_path / "memory.max").write_text(str(limit))
    assert process_counts(GatewaySettings(api_key="k"), tmp_path) == ProcessCounts(*expected)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"memory_bytes": 750_000_000}, (8, 1)),
        ({"memory_bytes": 1_800_000_000}, (8, 3)),
        ({"memory_bytes": 1_800_000_000, "large_body_processes": 0}, (3, 0)),
        ({"upload_slots": 2}, (8, 2)),
        ({"gateway_processes": 3, "large_body_processes": 0}, (3, 0)),
        ({"gateway_processes": 3}, (3, 1)),
        ({"large_body_processes": 1}, (8, 1)),
        ({"gateway_processes": 1, "upload_slots": 6}, (1, 1)),
    ],
)
def test_limits_that_are_set_bound_them(
    machine: pytest.MonkeyPatch, tmp_path: Path, limits: dict[str, int], expected: tuple[int, int]
) -> None:
    """What is set is for all together, and each needs a part that it can work with; a number that is set is taken."""
    machine.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    counts = process_counts(GatewaySettings(api_key="k", **limits), tmp_path)  # type: ignore[arg-type]
    assert counts == ProcessCounts(*expected)


LIMITS = {
    "memory_bytes": st.integers(600_000_000, 10**10),
    "upload_slots": st.integers(1, 99),
    "model_server_connections": st.integers(3, 99),
}


@given(st.fixed_dictionaries({}, optional=LIMITS), st.integers(1, 32), st.integers(0, 32))
def test_parts_hold_in_sum_and_suffice(limits: dict[str, int], serving: int, large: int) -> None:
    """No more is given away than is set, and each process that serves large bodies could be a gateway by itself."""
    counts = ProcessCounts(serving, large)
    limits = {name: limit * counts.total for name, limit in limits.items()}
    settings = GatewaySettings(
        api_key="k",
        gateway_processes=serving,
        large_body_processes=large,
        **limits,  # type: ignore[arg-type]
    )
    parts = [share(settings, counts, large=counts.is_large(each)) for each in range(1, counts.total + 1)]
    holders = parts[serving:] or parts
    for name in limits:
        users = parts if name == "model_server_connections" else holders
        assert sum(getattr(part, name) for part in users) <= limits[name]
    for part in holders:
        assert part.scoring_bytes >= max(part.max_upload_bytes, part.max_batch_bytes)
    assert all(getattr(part, name) >= 1 for part in parts for name in SHARED_LIMITS)


@pytest.mark.parametrize("limit", [{"memory_bytes": 1_200_000_000}, {"upload_slots": 2}])
@pytest.mark.parametrize("name", ["gateway_processes", "large_body_processes"])
def test_more_processes_than_limits_suffice_for_are_refused(limit: dict[str, int], name: str) -> None:
    """Two can share these limits, and the refusal names what is too small for three that serve large bodies."""
    assert GatewaySettings(api_key="k", **{name: 2}, **limit).most_processes == 2  # type: ignore[arg-type]
    (too_small,) = limit
    with pytest.raises(ValidationError, match=f"{name.upper()} is over 2, for which {too_small.upper()} suffice"):
        GatewaySettings(api_key="k", **{name: 3}, **limit)  # type: ignore[arg-type]


@given(st.integers(1, 10**12), st.booleans())
def test_all_that_they_may_take_fits_into_the_container(limit: int, shared: bool) -> None:
    """However much memory there is: what each process takes when idle, and what the settings allow all of them."""
    settings = GatewaySettings(api_key="k", memory_bytes=700_000_000) if shared else GatewaySettings(api_key="k")
    with pytest.MonkeyPatch.context() as machine:
        machine.setattr("os.sched_getaffinity", lambda _: set(range(64)))
        machine.setattr(module, "physical_memory", lambda: 10**13)
        machine.setattr(module, "memory_limit", lambda _: limit)
        counts = process_counts(settings, Path("absent"))
    parts = [share(settings, counts, large=counts.is_large(each)) for each in range(1, counts.total + 1)]
    taken = module.SUPERVISOR_BYTES + sum(part.memory_bytes + BASE_BYTES for part in parts)
    assert counts.total == 1 or taken <= limit
