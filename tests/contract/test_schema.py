import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.normal_forms import normal_form, unquoted
from contract.schema import (
    FLOAT32_MAX,
    SOURCE_KIND,
    Column,
    Contract,
    ContractError,
    Feature,
    FeatureKind,
    Kind,
    Missing,
    TextMatch,
    TimeFormat,
)
from contract.windows import DAY, HOUR, Aggregate, Window
from tests.contract.examples import COLUMNS, CONTRACT, FEATURES, JSON_VALUES
from tests.history import oracle

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text == text.strip())
BOUNDS = st.floats(-FLOAT32_MAX, FLOAT32_MAX) | st.integers(-100, 100)
AMOUNT = Column("amount", Kind.NUMBER)
PRICE = Feature("price", FeatureKind.NUMBER, "amount")
COUNT = Window(Aggregate.COUNT, "card", None, DAY, HOUR)
USUAL = Window(Aggregate.RATIO, "card", "amount", 7 * DAY, DAY)
RISK = Window(Aggregate.RISK, "card", None, 7 * DAY, DAY, DAY)
HISTORY = replace(
    CONTRACT,
    history=(COUNT, USUAL, RISK),
    features=(
        *FEATURES,
        Feature("visits", FeatureKind.LOG, COUNT.name),
        Feature("usual", FeatureKind.NUMBER, USUAL.name),
    ),
)


@st.composite
def columns(draw: st.DrawFn, name: str) -> Column:
    """A column of any kind that a contract may have more than once, with what its kind uses."""
    kind = draw(st.sampled_from([Kind.NUMBER, Kind.CATEGORY, Kind.TIMESTAMP, Kind.ENTITY]))
    missing = draw(st.sampled_from(Missing))
    plain = Column(name, kind, missing, missing_words=tuple(draw(st.lists(WORDS, unique_by=str.lower, max_size=2))))
    if kind is Kind.NUMBER:
        minimum, maximum = sorted([draw(BOUNDS), draw(BOUNDS)])
        return replace(plain, minimum=minimum, maximum=maximum)
    if kind is Kind.CATEGORY:
        match = draw(st.sampled_from(TextMatch))
        values = st.lists(WORDS.map(unquoted).filter(bool), unique_by=normal_form, max_size=4)
        return replace(plain, values=tuple(draw(values)), match=match)
    if kind is Kind.TIMESTAMP:
        form = draw(st.sampled_from(TimeFormat))
        return replace(
            plain, time_format=form, zone="" if form.is_number else draw(st.sampled_from(["", "Asia/Kolkata"]))
        )
    return plain


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Any columns, and any of the features that fit them."""
    names = draw(st.lists(WORDS, unique=True, max_size=4))
    drawn = [draw(columns(name)) for name in names if name != AMOUNT.name]
    features = [
        Feature(f"{kind} of {column.name}", kind, column.name)
        for column in drawn
        for kind, source in SOURCE_KIND.items()
        if source is column.kind and draw(st.booleans())
    ]
    return Contract(draw(WORDS), (AMOUNT, *drawn), (PRICE, *features))


def document(contract: Contract = CONTRACT) -> dict[str, Any]:
    """The contract as parsed JSON, to be damaged."""
    fields: dict[str, Any] = json.loads(contract.to_bytes())
    return fields


def canonical(fields: object) -> bytes:
    """JSON written as contract.json is."""
    return (json.dumps(fields, indent=1, ensure_ascii=False) + "\n").encode()


@given(contracts())
def test_a_contract_survives_its_own_bytes(contract: Contract) -> None:
    """What to_bytes writes, from_bytes reads back equal, with the same fingerprint."""
    again = Contract.from_bytes(contract.to_bytes())
    assert again == contract
    assert again.fingerprint == contract.fingerprint


def test_a_column_without_a_match_is_one_of_an_earlier_release() -> None:
    """Its JSON stays what it was, and its text is matched exactly; any other match is written."""
    column = Column("c", Kind.CATEGORY, values=("US",))
    assert "match" not in column.to_json()
    assert Column.from_json(column.to_json()).match is TextMatch.EXACT
    assert replace(column, match=TextMatch.NORMAL).to_json()["match"] == "normal"


@pytest.mark.parametrize(
    ("kind", "match", "values"),
    [
        (Kind.ENTITY, TextMatch.NORMAL, ()),
        (Kind.ID, TextMatch.NORMAL, ()),
        (Kind.NUMBER, TextMatch.UNQUOTED, ()),
        (Kind.LABEL, TextMatch.NORMAL, ()),
        (Kind.CATEGORY, TextMatch.NORMAL, ("US", "us")),
        (Kind.CATEGORY, TextMatch.NORMAL, ("gift cards", "gift_cards")),
        (Kind.CATEGORY, TextMatch.UNQUOTED, ("'US'",)),
    ],
)
def test_a_match_that_gives_a_cell_no_single_reading_is_refused(
    kind: Kind, match: TextMatch, values: tuple[str, ...]
) -> None:
    """Two values of one form, a value that no cell becomes, a kind that may not be folded."""
    with pytest.raises(ContractError):
        Column("c", kind, match=match, values=values)


@given(contracts(), contracts())
def test_equal_fingerprints_mean_equal_contracts(one: Contract, other: Contract) -> None:
    """Two contracts have the same fingerprint exactly when they are equal."""
    assert (one.fingerprint == other.fingerprint) == (one == other)


@given(oracle.windows())
def test_a_history_survives_the_contract_s_bytes(windows: tuple[Window, ...]) -> None:
    """History features, and the features of the matrix that read them, come back equal and in their order."""
    contract = oracle.contract_of(windows)
    again = Contract.from_bytes(contract.to_bytes())
    assert again == contract
    assert again.fingerprint == contract.fingerprint


@pytest.mark.parametrize("zero", [0, 0.0, -0.0])
def test_every_zero_is_the_same_bound(zero: float) -> None:
    """A bound written as an integer or with a minus zero gives the fingerprint of 0.0."""
    contract = Contract("c", (replace(AMOUNT, minimum=zero),), (PRICE,))
    assert contract.fingerprint == Contract("c", (replace(AMOUNT, minimum=0.0),), (PRICE,)).fingerprint
    assert Contract.from_bytes(contract.to_bytes()) == contract


@pytest.mark.parametrize(
    "changed",
    [
        replace(CONTRACT, name="another"),
        replace(CONTRACT, columns=COLUMNS[::-1]),
        replace(CONTRACT, columns=COLUMNS[:-1]),
        replace(CONTRACT, features=FEATURES[::-1]),
        replace(CONTRACT, features=FEATURES[:-1]),
        replace(CONTRACT, features=(replace(FEATURES[0], name="another"), *FEATURES[1:])),
        replace(CONTRACT, features=(replace(FEATURES[0], kind=FeatureKind.LOG), *FEATURES[1:])),
        replace(CONTRACT, features=(replace(FEATURES[0], column="age"), *FEATURES[1:])),
        *(
            replace(CONTRACT, columns=(*COLUMNS[:at], column, *COLUMNS[at + 1 :]))
            for at, column in [
                (0, replace(COLUMNS[0], missing=Missing.ALLOW)),
                (0, replace(COLUMNS[0], kind=Kind.ENTITY)),
                (0, replace(COLUMNS[0], missing_words=("NULL",))),
                (1, replace(COLUMNS[1], time_format=TimeFormat.SECONDS)),
                (1, replace(COLUMNS[1], zone="Europe/Berlin")),
                (1, replace(COLUMNS[1], time_format=TimeFormat.YEAR_FIRST)),
                (1, replace(COLUMNS[1], time_format=TimeFormat.YEAR_FIRST, parts=("y", "m", "d"))),
                (2, replace(COLUMNS[2], minimum=0.5)),
                (2, replace(COLUMNS[2], maximum=9_999.0)),
                (5, replace(COLUMNS[5], values=("online", "chip"))),
                (6, replace(COLUMNS[6], name="another")),
            ]
        ),
    ],
)
def test_any_change_changes_the_fingerprint(changed: Contract) -> None:
    """A change of one name, kind, bound, value, policy or order gives another fingerprint."""
    assert changed.fingerprint != CONTRACT.fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        replace(HISTORY, history=(USUAL, COUNT, RISK)),
        replace(HISTORY, history=(COUNT, USUAL)),
        replace(HISTORY, history=(COUNT, USUAL, replace(RISK, delay=2 * DAY))),
        replace(HISTORY, history=(COUNT, USUAL, replace(RISK, seconds=DAY))),
        replace(HISTORY, history=(COUNT, USUAL, replace(RISK, bucket=HOUR))),
        replace(CONTRACT, history=(COUNT,)),
        *(
            replace(CONTRACT, history=(replace(USUAL, **change),))
            for change in ({}, {"column": "age"}, {"aggregate": Aggregate.MEAN}, {"aggregate": Aggregate.MAX})
        ),
    ],
)
def test_any_change_of_history_changes_the_fingerprint(changed: Contract) -> None:
    """A history feature more or less, and a change of any part or of the order, gives another fingerprint."""
    others = [CONTRACT, HISTORY, replace(CONTRACT, history=(USUAL, COUNT))]
    assert changed.fingerprint not in {other.fingerprint for other in others}


def test_the_fingerprint_is_sha256_in_hexadecimal() -> None:
    """A fingerprint is 32 bytes, as the frame carries it."""
    assert len(bytes.fromhex(CONTRACT.fingerprint)) == 32


@given(st.binary() | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_other_bytes_are_a_contract_error(data: bytes) -> None:
    """Bytes and JSON that are no contract are a ContractError, never another exception."""
    with pytest.raises(ContractError):
        Contract.from_bytes(data)


@given(st.data())
def test_a_damaged_contract_is_a_contract_error(data: st.DataObject) -> None:
    """Whatever replaces a field of a contract.json, it is read as a contract or refused with a ContractError."""
    fields = document(HISTORY)
    target = data.draw(st.sampled_from([fields, *fields["columns"], *fields["features"], *fields["history"]]))
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(JSON_VALUES)
    try:
        contract = Contract.from_bytes(json.dumps(fields, indent=1, ensure_ascii=True).encode() + b"\n")
    except ContractError:
        return
    assert isinstance(contract.fingerprint, str)


@pytest.mark.parametrize(
    "text",
    [
        CONTRACT.to_bytes().rstrip(b"\n"),
        CONTRACT.to_bytes() + b"\n",
        CONTRACT.to_bytes().replace(b"\n ", b"\n  "),
        CONTRACT.to_bytes().replace(b'"example"', b'"\\u0065xample"'),
        CONTRACT.to_bytes().replace(b"10000.0", b"10000"),
        CONTRACT.to_bytes().replace(b'"format": 1', b'"format": 1,\n "format": 1'),
        CONTRACT.to_bytes().decode().encode("utf-16"),
        b"\xef\xbb\xbf" + CONTRACT.to_bytes(),
    ],
)
def test_only_the_canonical_text_is_read(text: bytes) -> None:
    """The same contract written otherwise is refused: its fingerprint would not be that of its file."""
    with pytest.raises(ContractError):
        Contract.from_bytes(text)


@pytest.mark.parametrize(
    "change",
    [{"format": 2}, {"format": True}, {"history": [{"name": "velocity"}]}, {"history": None}, {"more": 1}],
)
def test_what_this_release_cannot_compute_is_refused(change: dict[str, Any]) -> None:
    """Another format, other history features and unknown fields are refused, not passed over."""
    with pytest.raises(ContractError):
        Contract.from_bytes(canonical(document() | change))


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"entity": ["card"]},
        {"entity": {"card": 1}},
        {"entity": None},
        {"entity": 5},
        {"column": ["amount"]},
        {"column": 5},
        {"column": True},
        {"aggregate": ["ratio"]},
        {"aggregate": "median"},
        {"seconds": 10**400},
        {"bucket": 10**400},
        {"delay": 10**400},
        {"seconds": 10**400, "bucket": 10**400},
        {"seconds": -DAY},
        {"bucket": -DAY},
        {"bucket": 0},
        {"delay": -DAY},
        {"seconds": 604_800.0},
        {"seconds": 1e30},
        {"bucket": True},
        {"seconds": "604800"},
    ],
    ids=str,
)
def test_a_damaged_window_is_a_contract_error(change: dict[str, Any]) -> None:
    """Whatever stands in a window's place, numbers of any size and other types too, is a ContractError."""
    fields = document(HISTORY)
    fields["history"][1] |= change
    with pytest.raises(ContractError):
        Contract.from_bytes(canonical(fields))


@pytest.mark.parametrize("name", ["aggregate", "entity", "column", "seconds", "bucket", "delay"])
def test_a_window_without_a_part_is_a_contract_error(name: str) -> None:
    """A part that is left out has no default."""
    fields = document(HISTORY)
    del fields["history"][0][name]
    with pytest.raises(ContractError):
        Contract.from_bytes(canonical(fields))


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        CONTRACT.to_bytes().replace(b'"example"', b'"\\ud800"'),
        CONTRACT.to_bytes().replace(b"10000.0", b"1" + b"0" * 400),
        CONTRACT.to_bytes().replace(b"10000.0", b"NaN"),
        CONTRACT.to_bytes().replace(b"10000.0", b"1e999"),
        CONTRACT.to_bytes().replace(b'"name": "log_age"', b'"name": 5'),
    ],
    ids=["deep", "surrogate", "huge", "nan", "infinite", "name"],
)
def test_json_that_python_stumbles_over_is_a_contract_error(text: bytes) -> None:
    """Nesting, numbers and characters at the edge of what Python reads are a ContractError like the rest."""
    with pytest.raises(ContractError):
        Contract.from_bytes(text)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": " a"},
        {"name": "a\n"},
        {"minimum": 1.0, "maximum": 0.0},
        {"minimum": float("nan")},
        {"maximum": float("inf")},
        {"minimum": -1e39},
        {"kind": Kind.CATEGORY, "values": ("a", "a")},
        {"kind": Kind.CATEGORY, "values": ("",)},
        {"kind": Kind.CATEGORY, "values": ("a ",)},
        {"kind": Kind.TIMESTAMP, "minimum": 0.0},
        {"kind": Kind.CATEGORY, "maximum": 1.0},
        {"kind": Kind.NUMBER, "values": ("a",)},
        {"kind": Kind.NUMBER, "time_format": TimeFormat.SECONDS},
        {"kind": Kind.NUMBER, "clock": "at"},
        {"kind": Kind.TIMESTAMP, "clock": "a"},
        {"kind": Kind.TIMESTAMP, "clock": " "},
        {"kind": Kind.TIMESTAMP, "clock": " at"},
        {"kind": Kind.TIMESTAMP, "clock": "at", "time_format": TimeFormat.SECONDS},
    ],
)
def test_a_column_that_cannot_be_obeyed_is_refused(fields: dict[str, Any]) -> None:
    """A column refuses bounds no number meets, values no cell can hold, and fields that its kind does not use."""
    with pytest.raises(ContractError):
        Column(**({"name": "a", "kind": Kind.NUMBER} | fields))


@pytest.mark.parametrize(
    ("columns_", "features"),
    [
        ((AMOUNT,), ()),
        ((AMOUNT, AMOUNT), (PRICE,)),
        ((AMOUNT,), (PRICE, PRICE)),
        ((AMOUNT, Column("a", Kind.ID), Column("b", Kind.ID)), (PRICE,)),
        ((AMOUNT, Column("a", Kind.LABEL), Column("b", Kind.LABEL)), (PRICE,)),
        ((AMOUNT, Column("a", Kind.WEIGHT), Column("b", Kind.WEIGHT)), (PRICE,)),
        ((AMOUNT,), (Feature("price", FeatureKind.NUMBER, "absent"),)),
        ((AMOUNT,), (Feature("price", FeatureKind.CATEGORY, "amount"),)),
        ((Column("a", Kind.LABEL),), (Feature("leak", FeatureKind.NUMBER, "a"),)),
        ((Column("a", Kind.WEIGHT),), (Feature("leak", FeatureKind.NUMBER, "a"),)),
    ],
)
def test_parts_that_do_not_fit_are_refused(columns_: tuple[Column, ...], features: tuple[Feature, ...]) -> None:
    """A contract refuses names given twice, a second id, label or weight, and features that do not fit."""
    with pytest.raises(ContractError):
        Contract("c", columns_, features)


WITHOUT_TIME = tuple(column for column in COLUMNS if column.kind is not Kind.TIMESTAMP)


@pytest.mark.parametrize(
    ("columns_", "history"),
    [
        (WITHOUT_TIME, (COUNT,)),
        (COLUMNS, (COUNT, COUNT)),
        (COLUMNS, (replace(COUNT, entity="absent"),)),
        (COLUMNS, (replace(COUNT, entity="amount"),)),
        (COLUMNS, (replace(COUNT, entity="id"),)),
        (COLUMNS, (replace(COUNT, entity="channel"),)),
        (COLUMNS, (replace(COUNT, entity="fraud"),)),
        (COLUMNS, (replace(USUAL, column="absent"),)),
        (COLUMNS, (replace(USUAL, column="channel"),)),
        (COLUMNS, (replace(USUAL, column="time"),)),
        (COLUMNS, (replace(USUAL, column="fraud"),)),
        (COLUMNS, (replace(USUAL, aggregate=Aggregate.DISTINCT),)),
        (COLUMNS, (replace(USUAL, aggregate=Aggregate.DISTINCT, column="fraud"),)),
        (COLUMNS, (replace(USUAL, aggregate=Aggregate.DISTINCT, column="id"),)),
        (COLUMNS, (replace(USUAL, aggregate=Aggregate.SUM, column=COUNT.name), COUNT)),
        (COLUMNS, (RISK, replace(RISK, seconds=DAY, delay=2 * DAY))),
        ((*COLUMNS, Column(COUNT.name, Kind.NUMBER)), (COUNT,)),
        ((*COLUMNS, Column(COUNT.name, Kind.CATEGORY)), (COUNT,)),
    ],
)
def test_a_history_that_does_not_fit_is_refused(columns_: tuple[Column, ...], history: tuple[Window, ...]) -> None:
    """It needs a time, an entity's column and numbers or texts that are no label, names of its own, and one delay."""
    with pytest.raises(ContractError):
        Contract("c", columns_, (PRICE,), history)


def test_one_delay_is_for_one_entity_and_bucket() -> None:
    """Other buckets, and delays of what counts no frauds, may have other delays."""
    history = (RISK, replace(RISK, bucket=HOUR, delay=HOUR), replace(COUNT, bucket=DAY, delay=3 * DAY))
    assert Contract("c", COLUMNS, (PRICE,), history).history == history


@pytest.mark.parametrize("kind", [kind for kind in FeatureKind if SOURCE_KIND[kind] is not Kind.NUMBER])
def test_a_history_feature_is_a_number(kind: FeatureKind) -> None:
    """What reads a category or a time cannot read a history feature."""
    with pytest.raises(ContractError):
        Contract("c", COLUMNS, (Feature("f", kind, COUNT.name),), (COUNT,))


def test_a_feature_of_a_history_that_is_not_there_is_refused() -> None:
    """A feature reads the history of its own contract only."""
    with pytest.raises(ContractError):
        Contract("c", COLUMNS, (Feature("f", FeatureKind.NUMBER, COUNT.name),), ())


def test_a_history_feature_is_no_column() -> None:
    """Nobody uploads it: it is neither an input nor a known name."""
    assert HISTORY.inputs == CONTRACT.inputs
    assert HISTORY.names == CONTRACT.names


def test_the_label_is_no_input() -> None:
    """The inputs are all columns but the label, in their order."""
    assert CONTRACT.inputs == COLUMNS[:-1]


def test_the_weight_is_no_input() -> None:
    """Training alone reads it, but an upload may have it."""
    weighted = replace(CONTRACT, columns=(*COLUMNS, Column("stands for", Kind.WEIGHT)))
    assert weighted.inputs == CONTRACT.inputs
    assert weighted.names == CONTRACT.names | {"stands for"}
    assert weighted.weight == Column("stands for", Kind.WEIGHT)
    assert CONTRACT.weight is None


def test_a_clock_is_part_of_the_contract() -> None:
    """Its name is an input and cannot be another column's; a contract without one has the text it always had."""
    timed = replace(CONTRACT, columns=(*COLUMNS, Column("day", Kind.TIMESTAMP, clock="at")))
    assert Contract.from_bytes(timed.to_bytes()) == timed
    assert timed.input_names[-2:] == ("day", "at")
    assert {"day", "at"} <= timed.names
    assert b"clock" not in CONTRACT.to_bytes()
    with pytest.raises(ContractError, match="named twice"):
        replace(timed, columns=(*timed.columns, Column("at", Kind.CATEGORY)))


def test_the_width_is_the_number_of_features() -> None:
    """The matrix has one column a feature."""
    assert CONTRACT.width == len(FEATURES)


def test_first_finds_the_first_column_of_a_kind() -> None:
    """Of two timestamps the first is the time of the transaction; a kind that is absent gives None."""
    assert CONTRACT.first(Kind.TIMESTAMP) == COLUMNS[1]
    assert Contract("c", (AMOUNT,), (PRICE,)).first(Kind.ID) is None


YEAR_FIRST = TimeFormat.YEAR_FIRST


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"zone": " UTC"}, "zone is a name"),
        ({"zone": "UTC", "time_format": TimeFormat.SECONDS}, "zone is a name"),
        ({"parts": ("y", "m"), "time_format": YEAR_FIRST}, "parts are year, month, day"),
        ({"parts": tuple("ymdhnsx"), "time_format": YEAR_FIRST}, "parts are year, month, day"),
        ({"parts": tuple("ymd")}, "with parts it is year-first"),
        ({"parts": tuple("ymd"), "time_format": YEAR_FIRST, "clock": "at"}, "with parts it is year-first"),
        ({"parts": tuple("ymd"), "time_format": YEAR_FIRST, "aliases": ("x",)}, "with parts it is year-first"),
    ],
)
def test_a_time_that_cannot_be_read_is_refused(wrong: dict[str, Any], reason: str) -> None:
    """Its zone, and its parts, fit its format."""
    with pytest.raises(ContractError, match=reason):
        Column("when", Kind.TIMESTAMP, **wrong)


def test_a_time_may_have_the_name_of_one_of_its_parts() -> None:
    """But neither the name nor a part may be another column's."""
    time = Column("d", Kind.TIMESTAMP, time_format=YEAR_FIRST, parts=tuple("ymd"))
    assert Contract("c", (time, AMOUNT), (PRICE,)).input_names == ("y", "m", "d", "amount")
    for parts, name in ((("y", "m", "amount"), "d"), (tuple("ymd"), "amount")):
        with pytest.raises(ContractError, match="a column is named twice"):
            Contract("c", (replace(time, name=name, parts=parts), AMOUNT), (PRICE,))
