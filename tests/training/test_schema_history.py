"""The `[[history]]` blocks of a schema file."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.schema import Contract, FeatureKind
from contract.windows import DAY, HOUR, MINUTE
from training.errors import SchemaError
from training.schema import DEFAULT, load_schema, parse_schema
from training.schema_history import usual_bucket

COLUMNS = """
name = "small"
[columns.when]
kind = "timestamp"
[columns.card]
kind = "entity"
[columns.shop]
kind = "entity"
[columns.amount]
kind = "number"
[columns.channel]
kind = "category"
[columns.fraud]
kind = "label"
"""


def _block(**keys: str) -> str:
    """A block of TOML; a key that is "" is left out."""
    fields = {"entity": '"card"', "aggregates": '["count"]', "windows": '["1d"]', **keys}
    return "\n[[history]]\n" + "".join(f"{key} = {value}\n" for key, value in fields.items() if value)


def _contract(*blocks: str) -> Contract:
    return parse_schema(COLUMNS + "".join(blocks)).contract({})


def _names(*blocks: str) -> list[str]:
    return [window.name for window in _contract(*blocks).history]


def test_a_block_is_each_aggregate_over_each_window() -> None:
    """Aggregates that read the column and those that do not may stand together: a count ignores it."""
    block = _block(aggregates='["count", "mean"]', column='"amount"', windows='["24h", "7d"]')
    assert _names(block) == [
        *("card.count.1d/1h", "card.count.7d/1h"),
        *("card.mean(amount).1d/1h", "card.mean(amount).7d/1h"),
    ]


def test_each_window_is_a_feature_behind_the_columns() -> None:
    """The matrix has the history features last, each under its window's name."""
    features = _contract(_block(windows='["1d", "30d"]')).features
    assert [(feature.name, feature.kind) for feature in features[-2:]] == [
        ("card.count.1d/1h", FeatureKind.NUMBER),
        ("card.count.30d/1h", FeatureKind.NUMBER),
    ]
    assert features[0].column == "when"


def test_the_logarithm_stands_beside_what_has_one() -> None:
    """Log adds a feature to a count, none to a risk or a distinct count, and no window."""
    contract = _contract(
        _block(aggregates='["count", "risk"]', windows='["7d"]', log="true"),
        _block(aggregates='["distinct", "since_last"]', column='"shop"', log="true"),
    )
    assert len(contract.history) == 4
    logs = [feature.name for feature in contract.features if feature.kind is FeatureKind.LOG]
    assert logs == ["log(card.count.7d/1h)", "log(card.since_last.1d/1h)"]


def test_a_risk_has_the_delay_of_labels_by_default() -> None:
    """Seven days for risk and none for the others; a delay that is named holds for the whole block."""
    block = {"aggregates": '["count", "risk"]', "windows": '["7d"]'}
    assert _names(_block(**block)) == ["card.count.7d/1h", "card.risk.7d-7d/1h"]
    assert _names(_block(**block, delay='"3d"')) == ["card.count.7d-3d/1h", "card.risk.7d-3d/1h"]


def test_distinct_reads_a_category_or_an_entity() -> None:
    """Of how many shops, over how many channels."""
    blocks = (_block(aggregates='["distinct"]', column=column) for column in ('"shop"', '"channel"'))
    assert _names(*blocks) == ["card.distinct(shop).1d/1h", "card.distinct(channel).1d/1h"]


@pytest.mark.parametrize(
    ("windows", "bucket"),
    [
        (["1d", "30d"], "1h"),
        (["1h", "1d"], "5m"),
        (["90m"], "6m"),
        (["5m"], "1m"),
        (["25h"], "1h"),
        (["24h", "36h"], "1h"),
    ],
)
def test_the_usual_bucket(windows: list[str], bucket: str) -> None:
    """An hour, or a twelfth of a window shorter than a day, and what the windows are whole numbers of."""
    written = ", ".join(f'"{window}"' for window in windows)
    assert all(name.endswith(f"/{bucket}") for name in _names(_block(windows=f"[{written}]")))


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=4), st.lists(st.integers(0, 5_000), max_size=2))
def test_the_usual_bucket_fits_every_window(minutes: list[int], delays: list[int]) -> None:
    """Whole minutes, a divisor of each window and delay, never above an hour, nor a twelfth of a short window."""
    lengths = [MINUTE * each for each in minutes]
    bucket = usual_bucket(lengths, [MINUTE * each for each in delays])
    assert bucket % MINUTE == 0
    assert math.gcd(*lengths, *(MINUTE * each for each in delays)) % bucket == 0
    assert bucket <= (HOUR if min(lengths) >= DAY else max(MINUTE, min(lengths) / 12))


def test_a_bucket_that_is_named_holds() -> None:
    """Larger buckets, less state."""
    assert _names(_block(windows='["30d"]', bucket='"1d"')) == ["card.count.30d/1d"]


@pytest.mark.parametrize(
    ("blocks", "advice"),
    [
        ("history = 3", r"\[\[history\]\]"),
        ("[history]\nentity = 'card'", r"\[\[history\]\]"),
        (_block(windw='"1d"'), "block 1 has unknown keys: windw"),
        (_block() + _block(entity='"amount"'), 'block 2: entity must be one of "card", "shop"'),
        (_block(entity=""), "entity must be one of"),
        (_block(aggregates='["median"]'), '"count", "sum", "mean"'),
        (_block(aggregates='"count"'), r'aggregates = \["count", "mean"\]'),
        (_block(aggregates="[]"), r'aggregates = \["count", "mean"\]'),
        (_block(aggregates='["count", "count"]'), "each item once"),
        (_block(windows=""), r'windows = \["1d", "7d"\]'),
        (_block(windows="[7]"), r'windows = \["1d", "7d"\]'),
        (_block(windows='["7 days"]'), '"90m", "24h", "30d"'),
        (_block(windows='["0d"]'), '"90m", "24h", "30d"'),
        (_block(bucket="60"), 'bucket must be a whole number of minutes, .*"90m"'),
        (_block(delay='"a week"'), "delay must be a whole number of minutes"),
        (_block(log='"yes"'), "true or false"),
        (_block(aggregates='["risk"]', log="true"), "risk has no logarithm: leave log out"),
        (_block(aggregates='["mean"]'), 'mean reads a column: write column = "amount"'),
        (_block(column='"amount"'), "count reads no column: leave column out"),
        (_block(aggregates='["mean"]', column='"total"'), "name of a column of this schema"),
        (_block(aggregates='["mean"]', column='"channel"'), "kind number, and channel is a category"),
        (_block(aggregates='["mean", "distinct"]', column='"amount"'), "give distinct a block of its own"),
        (_block(windows='["1h", "30d"]'), "more than 2000 buckets.*block of its own"),
        (_block(windows='["1d"]', bucket='"7h"'), "whole numbers of buckets.*change bucket, windows or delay"),
        (_block(aggregates='["since_last"]', delay='"1d"'), "since_last has no delay"),
        (_block() + _block(windows='["24h"]'), "card.count.1d/1h is there twice: take it out"),
        (
            _block(aggregates='["risk"]', windows='["7d"]')
            + _block(aggregates='["risk"]', windows='["30d"]', delay='"3d"'),
            "more than one delay of labels",
        ),
    ],
)
def test_a_wrong_block_says_what_to_write(blocks: str, advice: str) -> None:
    """Each mistake is refused with the right way to write it, and names its block."""
    text = f"{blocks}\n{COLUMNS}" if blocks.startswith("history") else COLUMNS + blocks
    with pytest.raises(SchemaError, match=advice):
        parse_schema(text)


def test_history_needs_a_time_and_an_entity() -> None:
    """Without either there is no past of anybody, and the message says which column is wanted."""
    timeless = COLUMNS.replace('"timestamp"', '"id"')
    with pytest.raises(SchemaError, match='kind = "timestamp"'):
        parse_schema(timeless + _block())
    nobody = COLUMNS.replace('"entity"', '"category"')
    with pytest.raises(SchemaError, match='kind = "entity", and there is none yet'):
        parse_schema(nobody + _block())


def test_a_schema_without_history_is_the_contract_it_was() -> None:
    """Nothing changes for who asks for none."""
    contract = _contract()
    assert contract.history == ()
    assert {feature.column for feature in contract.features} == {"when", "amount", "channel"}


def test_the_default_model_has_one_state_for_each_entity() -> None:
    """Customers and terminals, all windows in hours: a transaction writes two records and no more."""
    history = load_schema(DEFAULT).contract({}).history
    assert 12 <= len(history) <= 16
    assert {(window.entity, window.bucket) for window in history} == {("customer_id", HOUR), ("terminal_id", HOUR)}
