"""The adapter to TorchServe's management port."""

from pathlib import Path

import pytest

from operations.torchserve.client import TorchServeRefused
from tests.operations.fake_torchserve import FakeTorchServe


def test_workers_are_started_one_after_the_other() -> None:
    """A start imports torch: three workers are three starts, never three at once."""
    fake = FakeTorchServe()
    fake.server().register(Path("fraud-1.verified.mar"), 3)
    assert fake.asked == [(1, 1), (1, 2), (1, 3)]
    assert fake.registered == {1: ["READY"] * 3}


def test_the_server_chooses_where_no_number_is_given() -> None:
    """Without a number the registration says none, and nothing is scaled."""
    fake = FakeTorchServe()
    fake.server().register(Path("fraud-1.verified.mar"), None)
    assert fake.asked == [(1, None)]


def test_a_worker_that_cannot_start_fails_the_registration() -> None:
    """Where the first worker ends again and again, no second one is asked for."""
    fake = FakeTorchServe(broken={1})
    with pytest.raises(TorchServeRefused, match="start the workers"):
        fake.server().register(Path("fraud-1.verified.mar"), 2)
    assert fake.asked == [(1, 1)]
