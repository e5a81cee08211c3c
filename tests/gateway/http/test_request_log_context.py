"""Which versions answered a request."""

import asyncio

import pytest

from gateway.http.request_log_context import add_versions, request_log_context


@pytest.mark.parametrize(
    ("notes", "fields"),
    [
        ([], {}),
        ([(1, {1})], {"model_version": 1}),
        ([(1, set())], {"model_version": 1}),
        ([(1, {1, 2}), (1, {2})], {"model_version": 1, "trial_version": 2}),
        ([(2, {2}), (1, {1})], {"model_version": [1, 2]}),
        ([(1, {1, 2}), (2, {2, 3})], {"model_version": [1, 2], "trial_version": [2, 3]}),
    ],
)
def test_the_log_line_has_a_version_or_a_sorted_list(
    notes: list[tuple[int, set[int]]], fields: dict[str, object]
) -> None:
    """One version stands as a number, several as a list; a version that scored nothing is not on trial."""
    with request_log_context() as answered:
        for live, scored in notes:
            add_versions(live, scored)
    assert answered.fields() == fields


@pytest.mark.anyio
async def test_the_files_of_a_batch_are_collected_together() -> None:
    """What is noted in tasks that were begun inside counts; what is noted outside goes nowhere."""

    async def one(version: int) -> None:
        add_versions(version, {version})

    with request_log_context() as answered:
        await asyncio.gather(one(1), one(2))
    add_versions(3, {3})
    assert answered.fields() == {"model_version": [1, 2]}
