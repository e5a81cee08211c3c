"""Which rows a version on trial scores."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.schema import Column, Contract, Feature, FeatureKind, Kind
from contract.table import read_csv
from gateway.models.entity_sampling import entity_column, sampled_entities, sampled_rows
from releases.record import Trial, TrialKind
from tests.contract.examples import CONTRACT, GOOD, csv_bytes

NAMES = st.lists(st.text(), max_size=30)
SHARES = st.floats(0, 1, exclude_min=True)
VERSIONS = st.integers(1, 10**6)
MANY = [f"card-{place}" for place in range(20_000)]


def trial(share: float, version: int = 2) -> Trial:
    """A canary with this share."""
    return Trial(TrialKind.CANARY, version, share, "2026-01-01T00:00:00+00:00")


@given(NAMES, VERSIONS, SHARES, SHARES)
def test_who_is_on_it_stays_when_the_share_grows(names: list[str], version: int, one: float, other: float) -> None:
    """A larger share has all entities of a smaller one."""
    assert sampled_entities(names, version, min(one, other)) <= sampled_entities(names, version, max(one, other))


@given(NAMES, VERSIONS, SHARES, st.randoms())
def test_the_side_is_the_entity_s_own(names: list[str], version: int, share: float, random: object) -> None:
    """Each entity is on the side on which it is alone, whatever comes before or beside it."""
    alone = {name for name in names if sampled_entities([name], version, share)}
    assert sampled_entities(names, version, share) == sampled_entities(reversed(names), version, share) == alone


@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.9])
@pytest.mark.parametrize("version", [2, 3, 1000])
def test_the_share_is_met(share: float, version: int) -> None:
    """Of many entities the expected share is on it, within five standard deviations."""
    deviation = (share * (1 - share) / len(MANY)) ** 0.5
    assert len(sampled_entities(MANY, version, share)) / len(MANY) == pytest.approx(share, abs=5 * deviation)


def test_a_share_of_one_is_everybody_with_a_name() -> None:
    """All entities but the empty one are on it."""
    assert sampled_entities([*MANY, ""], 2, 1.0) == set(MANY)


def test_another_version_tries_others_first() -> None:
    """The entities of one trial are no more likely than any others to be those of the next."""
    both = sampled_entities(MANY, 2, 0.1) & sampled_entities(MANY, 3, 0.1)
    assert len(both) / len(MANY) == pytest.approx(0.01, abs=0.005)


def test_another_process_chooses_the_same() -> None:
    """Gateways agree, and a restart changes nothing: Python's own hash of a text is another in each process."""
    call = "print(sorted(sampled_entities(map(str, range(100)), 2, 0.5)))"
    code = f"from gateway.models.entity_sampling import sampled_entities; {call}"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(sorted(sampled_entities(map(str, range(100)), 2, 0.5)))


@given(st.lists(st.sampled_from(["", "a", "b", "c", "d"]), max_size=30), SHARES)
def test_all_rows_of_an_entity_are_on_its_side(cards: list[str], share: float) -> None:
    """The chosen rows are those of the chosen entities, in their order; an empty cell stays with the live version."""
    table = read_csv(CONTRACT, csv_bytes([GOOD | {"card": card} for card in cards])).table
    side = sampled_entities(cards, 2, share)
    assert sampled_rows(CONTRACT, table, trial(share)).tolist() == [
        place for place, card in enumerate(cards) if card in side
    ]


def test_without_an_entity_the_id_decides() -> None:
    """The first entity column counts, or else the id; a contract with neither sends nothing."""
    number, feature = Column("n", Kind.NUMBER), Feature("n", FeatureKind.NUMBER, "n")
    with_id = Contract("id", (number, Column("id", Kind.ID)), (feature,))
    without = Contract("none", (number,), (feature,))
    names = [column and column.name for column in map(entity_column, (CONTRACT, with_id, without))]
    assert names == ["card", "id", None]
    table = read_csv(without, b"n\n1\n").table
    np.testing.assert_array_equal(sampled_rows(without, table, trial(1.0)), [])
