"""How two versions differ."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.decision import DecisionBands
from contract.schema import Column, Contract, Feature, FeatureKind, Kind, Missing, TimeFormat
from operations.errors import OperationsError
from operations.store.diff import SharedGoldenRows, VersionDifference, compare_columns, compare_versions
from operations.store.registry import Registry
from tests import tiny
from tests.operations import archives

WIDER = Contract("wider", (*tiny.COLUMNS, Column("country", Kind.CATEGORY, values=("NL",))), tiny.FEATURES)
WIDER_CSV = f"{tiny.HEADER},country\ng-1,2026-01-01T10:00:00,2000,30,chip,NL\n"
STRANGE = Contract("strange", (Column("sum", Kind.NUMBER),), (Feature("sum", FeatureKind.NUMBER, "sum"),))


@pytest.fixture
def store(tmp_path: Path) -> Registry:
    """An empty store."""
    return Registry(tmp_path / "model_store")


def compare(store: Registry) -> VersionDifference:
    """Versions 1 and 2."""
    return compare_versions(store, 1, 2)


def test_the_same_model_differs_in_nothing(store: Registry) -> None:
    """Equal models on equal golden rows: no difference, and each row counts once."""
    archives.add(store, 1)
    archives.add(store, 2)
    found = compare(store)
    assert found.golden == (SharedGoldenRows((1, 2), rows=2, shared=2),)
    assert found.scored is not None
    assert (found.scored.rows, found.scored.largest, found.scored.differ, found.scored.stability) == (2, 0, 0, 0)


def test_both_models_score_the_rows(store: Registry) -> None:
    """The differences are those of the two models' own probabilities, and each decides by its own thresholds."""
    archives.add(store, 1, slope=0.01)
    archives.add(store, 2, slope=0.0, bands=DecisionBands(0.4, 0.9))
    scored = compare(store).scored
    assert scored is not None
    low, high = 1 / (1 + np.exp(9.9)), 1 / (1 + np.exp(-80.0))
    assert scored.largest == pytest.approx(0.5, abs=1e-4)
    assert scored.mean == pytest.approx(((0.5 - low) + (high - 0.5)) / 2, abs=1e-6)
    assert scored.flagged == (0.5, 1.0)
    assert scored.differ == 2
    assert scored.stability > 0.25


def test_rows_of_a_wider_contract_are_read_by_both(store: Registry) -> None:
    """A column that only one version knows hinders nobody, who has all columns of its own."""
    archives.add(store, 1)
    archives.add(store, 2, contract=WIDER, golden_csv=WIDER_CSV)
    found = compare(store)
    assert found.golden == (SharedGoldenRows((1,), rows=2, shared=0), SharedGoldenRows((2,), rows=1, shared=1))
    assert found.scored is not None
    assert found.scored.rows == 1


def test_where_no_row_is_common_nothing_is_scored(store: Registry) -> None:
    """Contracts without a common column leave the scores uncompared."""
    archives.add(store, 1)
    archives.add(store, 2, contract=STRANGE, golden_csv="sum\n1\n")
    assert compare(store).scored is None


def test_a_version_that_is_not_there_is_told(store: Registry) -> None:
    """The error names it."""
    archives.add(store, 1)
    with pytest.raises(OperationsError, match="no version 2"):
        compare(store)


def _contract(*changed: Column) -> Contract:
    return Contract("c", (Column("amount", Kind.NUMBER), *changed), (Feature("f", FeatureKind.NUMBER, "amount"),))


@pytest.mark.parametrize(
    ("before", "after", "messages"),
    [
        (Column("x", Kind.NUMBER), Column("x", Kind.CATEGORY), "kind: number -> category"),
        (Column("x", Kind.ID), Column("x", Kind.ID, Missing.ALLOW), "missing: refuse -> allow"),
        (Column("x", Kind.NUMBER), Column("x", Kind.NUMBER, minimum=0.0), "values: any -> from 0"),
        (
            Column("x", Kind.TIMESTAMP),
            Column("x", Kind.TIMESTAMP, time_format=TimeFormat.SECONDS),
            "values: iso -> seconds",
        ),
        (
            Column("x", Kind.CATEGORY, values=("a", "b")),
            Column("x", Kind.CATEGORY, values=("b", "c", "d")),
            "values: 2 added, 1 removed",
        ),
        (
            Column("x", Kind.CATEGORY, values=("a", "b")),
            Column("x", Kind.CATEGORY, values=("b", "a")),
            "values: in another order",
        ),
    ],
)
def test_a_changed_column_is_told_in_words(before: Column, after: Column, messages: str) -> None:
    """Kind, what an empty cell means, bounds, and how many category values."""
    assert compare_columns(_contract(before), _contract(after)).changed == {"x": messages}


def test_columns_of_one_side_are_named() -> None:
    """A column that only one contract has is told by its name."""
    found = compare_columns(_contract(Column("old", Kind.ID)), _contract(Column("new", Kind.ID)))
    assert (found.first, found.second, found.changed, found.features) == (("old",), ("new",), {}, False)


@given(st.permutations(tiny.COLUMNS))
def test_the_order_of_columns_is_of_no_matter(order: list[Column]) -> None:
    """A file may have its columns in any order, and so a contract that differs in nothing else is the same."""
    found = compare_columns(tiny.CONTRACT, Contract("other", tuple(order), tiny.FEATURES))
    assert (found.first, found.second, found.changed, found.features) == ((), (), {}, False)


def test_other_features_are_told() -> None:
    """Two models may make other features of the same columns."""
    assert compare_columns(tiny.CONTRACT, Contract("tiny", tiny.COLUMNS, tiny.FEATURES[:2])).features
