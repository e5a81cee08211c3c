from pathlib import Path

import pytest

from contract.labels import LabelWords
from contract.schema import Column, Contract, FeatureKind, Kind, Missing, TextMatch, TimeFormat
from tests.training.rows import SCHEMA
from training.errors import SchemaError, TrainingError
from training.schema import DEFAULT, load_schema, parse_schema


def test_default_schema_gives_a_contract() -> None:
    """The schema that is shipped can be obeyed and makes features from its amount, categories and time."""
    contract = load_schema(DEFAULT).contract({"channel": ("chip",)})
    assert {feature.column for feature in contract.features} >= {"amount", "channel", "timestamp"}


def test_log_gives_a_second_feature() -> None:
    """A number with log = true is a feature itself and in its logarithm."""
    kinds = [f.kind for f in parse_schema(SCHEMA).contract({}).features if f.column == "amount"]
    assert kinds == [FeatureKind.NUMBER, FeatureKind.LOG]


def test_seconds_have_no_cycles_unless_asked() -> None:
    """Seconds may count from any moment, so their hour is a feature only where the schema says so."""
    seconds = SCHEMA.replace('kind = "timestamp"', 'kind = "timestamp"\ntime_format = "seconds"')
    assert not [f for f in parse_schema(seconds).contract({}).features if f.column == "when"]
    asked = seconds.replace('"seconds"', '"seconds"\ncycles = ["hour"]')
    assert len([f for f in parse_schema(asked).contract({}).features if f.column == "when"]) == 2


def test_a_day_may_have_its_clock_beside_it() -> None:
    """The schema names the column, and it is one of the contract's inputs."""
    compare = SCHEMA.replace('kind = "timestamp"', 'kind = "timestamp"\nclock = "at"')
    assert parse_schema(compare).contract({}).input_names[:3] == ("ref", "when", "at")
    with pytest.raises(SchemaError, match="clock must be a text"):
        parse_schema(compare.replace('"at"', "7"))


def test_words_may_mean_a_missing_cell() -> None:
    """They reach the contract; a number may be written as one, and a label has none."""
    schema = parse_schema(SCHEMA.replace('kind = "timestamp"', 'kind = "timestamp"\nmissing_words = ["NULL", -1]'))
    assert next(each for each in schema.contract({}).columns if each.name == "when").missing_words == ("NULL", "-1")
    with pytest.raises(SchemaError, match="unknown keys: missing_words"):
        parse_schema(SCHEMA.replace('kind = "label"', 'kind = "label"\nmissing_words = ["?"]'))
    for wrong, advice in (('"NULL"', "a list of words"), ('["a", "A"]', "listed twice"), ('[" "]', "spaces around")):
        with pytest.raises(SchemaError, match=advice):
            parse_schema(SCHEMA.replace('kind = "timestamp"', f'kind = "timestamp"\nmissing_words = {wrong}'))


def test_text_is_matched_as_its_kind_usually_is() -> None:
    """A category by its normal form, an id without its quotes; the schema may say otherwise."""
    matches = {column.name: column.match for column in parse_schema(SCHEMA).contract({}).columns}
    assert matches["channel"] is TextMatch.NORMAL
    assert matches["ref"] is TextMatch.UNQUOTED
    assert matches["amount"] is TextMatch.EXACT
    exact = parse_schema(SCHEMA.replace('"category"', '"category"\nmatch = "exact"')).contract({})
    assert {column.name: column.match for column in exact.columns}["channel"] is TextMatch.EXACT


def test_a_time_may_have_a_zone_and_parts() -> None:
    """Both reach the contract; a zone that nobody knows is refused in words."""
    parts = SCHEMA.replace(
        'kind = "timestamp"', 'kind = "timestamp"\nzone = "Europe/Berlin"\nparts = ["y", "m", "d", "at"]'
    )
    contract = parse_schema(parts).contract({})
    assert contract.input_names[:5] == ("ref", "y", "m", "d", "at")
    assert contract.time is not None
    assert (contract.time.zone, contract.time.time_format) == ("Europe/Berlin", "year-first")
    for wrong, advice in (("Berlin/Europe", "such as Europe/Berlin"), ('"', "not TOML")):
        with pytest.raises(SchemaError, match=advice):
            parse_schema(parts.replace("Europe/Berlin", wrong))


def test_label_is_named() -> None:
    """The schema knows which column is the label."""
    assert parse_schema(SCHEMA).label == "fraud"


def test_a_label_may_say_which_words_mean_fraud() -> None:
    """Words, numbers and flags, in any case; without a list it is 1 and true for fraud."""
    lists = 'fraud = ["Yes", 2, true]\ngenuine = ["No"]\nunknown = ["pending"]'
    label = parse_schema(SCHEMA.replace('"label"', f'"label"\n{lists}')).contract({}).label
    assert label is not None
    assert label.words == LabelWords(("yes", "2", "true"), ("no",), ("pending",))
    usual = parse_schema(SCHEMA.replace('"label"', '"label"\nunknown = ["?"]')).contract({}).label
    assert usual is not None
    assert usual.words == LabelWords(unknown=("?",))
    assert b"words" not in parse_schema(SCHEMA).contract({}).to_bytes()


def test_a_label_may_name_since_when_it_is_known() -> None:
    """That column is written as the transactions' time where the label says nothing else; it is no input."""
    dated = SCHEMA.replace('"timestamp"', '"timestamp"\ntime_format = "day-first"')
    for extra, form in (("", TimeFormat.DAY_FIRST), ('\ntime_format = "iso"', TimeFormat.ISO)):
        text = dated.replace('"label"', f'"label"\nconfirmed = "LABEL_TIMESTAMP"{extra}')
        contract = parse_schema(text).contract({})
        assert contract.confirmed == Column("LABEL_TIMESTAMP", Kind.TIMESTAMP, Missing.ALLOW, time_format=form)
        assert "LABEL_TIMESTAMP" not in contract.input_names
        assert Contract.from_bytes(contract.to_bytes()) == contract


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ("not toml", "not TOML"),
        ("columns = 3", "name = "),
        ('name = "x"', "names no column"),
        ('name = "x"\nkolumns = 3', "unknown keys: kolumns"),
        ('name = "x"\n[columns]\namount = 3', r"\[columns.amount\]"),
        (SCHEMA.replace("log = true", "lgo = true"), "unknown keys: lgo"),
        (SCHEMA.replace("log = true", "log = 1"), "true or false"),
        (SCHEMA.replace("minimum = 0.0", 'minimum = "0"'), "without quotes"),
        (SCHEMA.replace("min_count = 1", "min_count = 0"), "whole number from 1"),
        (SCHEMA.replace('"id"', '"identity"'), '"number", "category"'),
        (SCHEMA.replace('kind = "timestamp"', 'kind = "timestamp"\ncycles = ["month"]'), "cycles must be a list"),
        (SCHEMA.replace('"id"', '"id"\nmatch = "normal"'), 'match = "unquoted"'),
        (SCHEMA.replace('"category"', '"category"\nmatch = "fuzzy"'), '"exact", "unquoted", "normal"'),
        (SCHEMA.replace('"label"', '"entity"'), "exactly one label and has 0"),
        (SCHEMA.replace('"id"', '"label"'), "exactly one label and has 2"),
        (SCHEMA.replace('"label"', '"label"\nmissing = "allow"'), "a label needs no missing"),
        (
            SCHEMA.replace('"label"', '"label"\nfraud = ["Yes"]'),
            r'both fraud and genuine need a word: fraud = \["Yes"\]',
        ),
        (
            SCHEMA.replace('"label"', '"label"\nfraud = []\ngenuine = ["No"]'),
            r'fraud must be a list.*fraud = \["Yes"\]',
        ),
        (
            SCHEMA.replace('"label"', '"label"\nfraud = "Yes"\ngenuine = "No"'),
            "fraud must be a list of one word or more",
        ),
        (SCHEMA.replace('"label"', '"label"\nfraud = ["Yes"]\ngenuine = ["yes "]'), "in two of the lists"),
        (SCHEMA.replace('"label"', '"label"\nunknown = ["1"]'), "in two of the lists"),
        (SCHEMA.replace('"label"', '"label"\ntime_format = "iso"\nconfirmed = "fraud"'), "stands in another column"),
        (SCHEMA.replace('"label"', '"label"\nconfirmed = "amount"'), "a column is named twice"),
        (
            SCHEMA.replace('"timestamp"', '"timestamp"\ntime_format = "hours"').replace(
                '"label"', '"label"\nconfirmed = "known"\ntime_format = "iso"'
            ),
            "is no date",
        ),
        (SCHEMA.replace('"label"', '"label"\ntime_format = "seconds"'), "a label has no time_format"),
        (SCHEMA.replace('"id"', '"id"\nfraud = ["a"]'), "unknown keys: fraud"),
        (SCHEMA.replace("minimum = 0.0", "minimum = 1.0\nmaximum = 0.0"), "not an interval"),
        (SCHEMA + '[columns.w]\nkind = "weight"\nmissing = "allow"', "weight cannot be missing"),
        (SCHEMA + '[columns.w]\nkind = "weight"\n[columns.v]\nkind = "weight"', "more than one column is the weight"),
        ('name = "x"\n[columns.a]\nkind = "label"', "nothing to score by"),
    ],
)
def test_wrong_schema_says_what_to_write(wrong: str, advice: str) -> None:
    """Each mistake in a schema is refused with the right way to write it."""
    with pytest.raises(SchemaError, match=advice):
        parse_schema(wrong)


def test_an_unreadable_schema_is_refused_in_words(tmp_path: Path) -> None:
    """A directory or a file in another encoding as the schema is refused without names of Python classes."""
    (tmp_path / "latin.toml").write_bytes("name = 'ä'".encode("latin-1"))
    for path, reason in ((tmp_path, "it is a directory"), (tmp_path / "latin.toml", "save it as UTF-8")):
        with pytest.raises(TrainingError, match=f"schema .* {reason}"):
            load_schema(path)


def test_learned_values_reach_the_contract() -> None:
    """The values that training learned stand in the contract's column."""
    column = parse_schema(SCHEMA).contract({"channel": ("chip",)}).first(Kind.CATEGORY)
    assert column is not None
    assert column.values == ("chip",)


def test_a_column_may_be_allowed_to_tell_the_label() -> None:
    """The schema says so for every training by it; anything but allow and refuse is a mistake."""
    schema = SCHEMA.replace("[columns.amount]", '[columns.amount]\nleak = "allow"')
    assert parse_schema(schema).allowed_leaks == ("amount",)
    assert parse_schema(SCHEMA).allowed_leaks == ()
    with pytest.raises(SchemaError, match='leak must be one of "refuse", "allow"'):
        parse_schema(schema.replace('leak = "allow"', "leak = true"))
