"""How many processes a gateway has by itself."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.processes import count as module
from gateway.processes.count import process_count
from gateway.settings import BASE_BYTES, SHARED_LIMITS, GatewaySettings

GIGABYTE = 1_000_000_000


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with 64 GB of memory, and as many processors as a test says."""
    monkeypatch.setattr(module, "physical_memory", lambda: 64 * GIGABYTE)
    return monkeypatch


@pytest.mark.parametrize(
    ("processors", "expected"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (8, 4), (16, 8), (128, 8)]
)
def test_half_of_the_processors_and_one_on_a_small_machine(
    machine: pytest.MonkeyPatch, tmp_path: Path, processors: int, expected: int
) -> None:
    """TorchServe, Redis and callers need the other half; more than eight were never measured."""
    machine.setattr("os.sched_getaffinity", lambda _: set(range(processors)))
    assert process_count(GatewaySettings(api_key="k"), tmp_path) == expected


@pytest.mark.parametrize(("limit", "expected"), [(1 << 30, 1), (2_140_000_000, 2), (2_139_999_999, 1), (8 << 30, 8)])
def test_a_container_has_as_many_as_its_memory_holds(
    machine: pytest.MonkeyPatch, tmp_path: Path, limit: int, expected: int
) -> None:
    """With the limits that each has where none is set: the limit of the images, 1 GiB, is one process."""
    machine.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    (tmp_path / "memory.max").write_text(str(limit))
    assert process_count(GatewaySettings(api_key="k"), tmp_path) == expected


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"memory_bytes": 750_000_000}, 1),
        ({"memory_bytes": 1_800_000_000}, 3),
        ({"upload_slots": 2}, 2),
        ({"model_server_connections": 5, "upload_slots": 6}, 5),
        ({"gateway_processes": 3}, 3),
        ({"gateway_processes": 1, "upload_slots": 6}, 1),
    ],
)
def test_limits_that_are_set_bound_them(
    machine: pytest.MonkeyPatch, tmp_path: Path, limits: dict[str, int], expected: int
) -> None:
    """What is set is for all together, and each needs a part that it can work with; a number that is set is taken."""
    machine.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    assert process_count(GatewaySettings(api_key="k", **limits), tmp_path) == expected  # type: ignore[arg-type]


LIMITS = {"memory_bytes": st.integers(600_000_000, 10**10), "upload_slots": st.integers(1, 99)}


@given(st.fixed_dictionaries({}, optional=LIMITS), st.integers(1, 64))
def test_parts_hold_in_sum_and_suffice(limits: dict[str, int], count: int) -> None:
    """Of whatever is set no more than that is given away, and each process could be a gateway by itself."""
    limits = {name: limit * count + count // 2 for name, limit in limits.items()}
    settings = GatewaySettings(api_key="k", gateway_processes=count, **limits)  # type: ignore[arg-type]
    part = settings.share(count)
    for name in SHARED_LIMITS:
        assert count * getattr(part, name) <= limits.get(name, count * getattr(settings, name))
        assert getattr(part, name) >= 1
    assert part.scoring_bytes >= max(part.max_upload_bytes, part.max_batch_bytes)


@pytest.mark.parametrize("limit", [{"memory_bytes": 1_200_000_000}, {"upload_slots": 2}])
def test_more_processes_than_limits_suffice_for_are_refused(limit: dict[str, int]) -> None:
    """Two can share these limits, and the refusal names what is too small for three."""
    assert GatewaySettings(api_key="k", gateway_processes=2, **limit).most_processes == 2  # type: ignore[arg-type]
    (name,) = limit
    with pytest.raises(ValidationError, match=f"GATEWAY_PROCESSES is over 2, for which {name.upper()} suffice"):
        GatewaySettings(api_key="k", gateway_processes=3, **limit)  # type: ignore[arg-type]


@given(st.integers(1, 10**12), st.booleans())
def test_all_that_they_may_take_fits_into_the_container(limit: int, shared: bool) -> None:
    """However much memory there is: what each process takes when idle, and what the settings allow all of them."""
    settings = GatewaySettings(api_key="k", memory_bytes=700_000_000) if shared else GatewaySettings(api_key="k")
    with pytest.MonkeyPatch.context() as machine:
        machine.setattr("os.sched_getaffinity", lambda _: set(range(64)))
        machine.setattr(module, "physical_memory", lambda: 10**13)
        machine.setattr(module, "memory_limit", lambda _: limit)
        count = process_count(settings, Path("absent"))
    assert count == 1 or module.SUPERVISOR_BYTES + count * (settings.share(count).memory_bytes + BASE_BYTES) <= limit
