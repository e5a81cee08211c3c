"""What history features are worth: the contract without them, rows without a past, and the card's figures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.decision import DecisionBands
from contract.schema import Contract, FeatureKind
from contract.table import Table, read_csv
from history.evaluation import with_history
from tests.training import rows
from training.ablation import default_history_matrix, history_ablation, without_history
from training.schema import parse_schema

HISTORY = """
[columns.card]
kind = "entity"
[[history]]
entity = "card"
aggregates = ["count", "since_last", "ratio"]
column = "amount"
windows = ["7d"]
log = true
"""
CONTRACT = parse_schema(rows.SCHEMA + HISTORY).contract({})
BANDS = DecisionBands(0.5, 0.9)
FULL, NEUTRAL = np.array([0.9, 0.2, 0.6, 0.1], np.float32), np.array([0.2, 0.6, 0.1, 0.1], np.float32)
BOTH = {"with": FULL, "neutral": NEUTRAL}
LABELS = np.array([True, False, False, False])


def _table(count: int) -> Table:
    """One card that pays 10, 20, 30 ... an hour apart, and an amount that is missing."""
    lines = [f"r{row},2026-01-01T{row:02}:30:00,{10 * (1 + row)},,chip,c1" for row in range(count)]
    return read_csv(CONTRACT, "\n".join(["ref,when,amount,age,channel,card", *lines, ""]).encode()).table


def _plain() -> tuple[Contract, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    found = without_history(CONTRACT)
    assert found is not None
    return found


def test_without_history_the_columns_of_the_file_are_left() -> None:
    """What is left is the contract that the schema would give without its blocks, in the same places."""
    contract, kept = _plain()
    assert contract == parse_schema(rows.SCHEMA + HISTORY.split("[[history]]", maxsplit=1)[0]).contract({})
    assert [CONTRACT.features[place] for place in kept] == list(contract.features)


def test_without_history_nothing_is_lost_where_there_is_none() -> None:
    """A contract that has no history has no second training."""
    assert without_history(_plain()[0]) is None


def test_a_contract_of_only_history_has_no_second_training() -> None:
    """Without its features nothing would be left to score by."""
    text = 'name = "x"\n[columns.when]\nkind = "timestamp"\ncycles = []\n[columns.fraud]\nkind = "label"\n'
    assert (
        without_history(
            parse_schema(text + HISTORY.replace(', "ratio"', "").replace('column = "amount"\n', "")).contract({})
        )
        is None
    )


def test_default_history_keeps_the_other_columns() -> None:
    """Only the features of history change, to what a row is given that sees nothing."""
    table = with_history(CONTRACT, _table(4), None)
    default_history = default_history_matrix(CONTRACT, table)
    assert default_history is not None
    history = {feature.name: place for place, feature in enumerate(CONTRACT.features) if "card." in feature.column}
    assert set(default_history[:, history["card.count.7d/1h"]]) == {0.0}
    assert set(default_history[:, history["card.since_last.7d/1h"]]) == {7 * 86_400.0}
    assert set(default_history[:, history["card.ratio(amount).7d/1h"]]) == {1.0}
    first = default_history_matrix(CONTRACT, table.take(np.array([0])))
    np.testing.assert_array_equal(default_history[:1], first)
    own = [place for place in range(CONTRACT.width) if place not in history.values()]
    amounts = [f.kind is FeatureKind.NUMBER and f.column == "amount" for f in CONTRACT.features]
    assert default_history[:, own].shape == (4, CONTRACT.width - len(history))
    assert default_history[:, amounts.index(True)].tolist() == [10, 20, 30, 40]


def test_without_history_there_is_no_default_history() -> None:
    """There is nothing to forget."""
    assert default_history_matrix(_plain()[0], _table(2)) is None


def test_the_card_says_what_is_gained() -> None:
    """Average precision in the three ways, the gain, and the alerts with and without a past."""
    scores = {"with": FULL, "neutral": NEUTRAL, "without": FULL[::-1].copy()}
    assert history_ablation(LABELS, scores, BANDS) == {
        "average_precision": {"with": 1.0, "without": pytest.approx(0.25), "neutral": pytest.approx(0.5)},
        "gain": pytest.approx(0.75),
        "flagged_share": {"with": 0.5, "neutral": 0.25},
    }


def test_rows_count_as_often_as_they_stand_for() -> None:
    """A flagged row of three transactions is three flagged transactions."""
    found = history_ablation(LABELS, BOTH, BANDS, np.array([1.0, 3.0, 1.0, 1.0]))
    assert found["flagged_share"] == pytest.approx({"with": 2 / 6, "neutral": 3 / 6})


def test_one_class_has_alerts_alone() -> None:
    """Where nothing can be ranked no gain is claimed."""
    found = history_ablation(np.zeros(4, dtype=np.bool_), BOTH | {"without": FULL}, BANDS)
    assert found == {"flagged_share": {"with": 0.5, "neutral": 0.25}}


def test_without_a_second_training_no_gain_is_claimed() -> None:
    """What history alone can score has nothing to be compared with."""
    found = history_ablation(LABELS, BOTH, BANDS)
    assert found["average_precision"].keys() == {"with", "neutral"}
    assert "gain" not in found


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=30))
def test_the_gain_is_the_difference(drawn: list[tuple[bool, int, int]]) -> None:
    """With less without, whatever the scores; no figure of it otherwise."""
    labels = np.array([fraud for fraud, _, _ in drawn])
    full, without = (np.array([row[place] / 8 for row in drawn], np.float32) for place in (1, 2))
    found = history_ablation(labels, {"with": full, "neutral": full, "without": without}, BANDS)
    precision = found.get("average_precision", {})
    assert found.get("gain") == (precision["with"] - precision["without"] if precision else None)
