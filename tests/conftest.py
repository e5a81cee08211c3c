"""How hypothesis runs here, and what no test leaves to the next."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A busy machine must not fail a test: pytest's own timeout is the limit.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """A test that calls a program's main function meets its umask; the next test does not."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)
