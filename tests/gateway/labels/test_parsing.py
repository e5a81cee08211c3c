"""Labels as they are read by the contract of their transactions."""

from dataclasses import replace

import pytest

from contract.labels import LabelWords
from contract.schema import Column, Contract, Feature, FeatureKind, Kind, TextMatch, TimeFormat
from contract.windows import HOUR
from gateway.http.problems import NotLabels
from gateway.labels.parsing import json_labels, read_labels
from gateway.requests.payload import OnError, csv_payload

TIME = Column("EVENT_TIMESTAMP", Kind.TIMESTAMP)
IDENTITY = Column("EVENT_ID", Kind.ID)
LABEL = Column("EVENT_LABEL", Kind.LABEL, words=LabelWords.of(["fraud"], ["legit"]), confirmed="LABEL_TIMESTAMP")
CSV = b"transaction_id,fraud,confirmed_at\n't-1',1,\nT-1,0,\n"


def contract(*columns: Column) -> Contract:
    """Of a time, and these columns."""
    time = next((column for column in columns if column.kind is Kind.TIMESTAMP), TIME)
    others = tuple(column for column in columns if column is not time)
    return Contract("events", (time, *others), (Feature("hour", FeatureKind.HOUR_SIN, time.name),))


def test_an_id_is_matched_as_that_of_its_transaction() -> None:
    """With its quotes or without, in a file and in JSON; its case counts."""
    objects = [{"transaction_id": "'t-1'", "fraud": True}, {"transaction_id": "T-1", "fraud": False}]
    for payload in (csv_payload(CSV), json_labels(objects)):
        unquoted = contract(replace(IDENTITY, match=TextMatch.UNQUOTED))
        assert list(read_labels(payload, unquoted, OnError.REFUSE).ids) == ["t-1", "T-1"]
        assert list(read_labels(payload, contract(IDENTITY), OnError.REFUSE).ids) == ["'t-1'", "T-1"]


def test_a_moment_is_of_the_zone_of_its_transaction() -> None:
    """A label that is written by the same clocks is not taken for one before its transaction."""
    berlin = contract(replace(TIME, zone="Europe/Berlin"))
    body = b"transaction_id,fraud,confirmed_at\n1,yes,2026-07-01T12:00:00\n2,no,2026-07-01T12:00:00+00:00\n"
    labels = read_labels(csv_payload(body), berlin, OnError.REFUSE)
    assert (labels.confirmed[1] - labels.confirmed[0]).item() == 2 * HOUR
    assert labels.frauds.tolist() == [True, False]


def test_columns_may_have_the_names_of_the_contract() -> None:
    """What training read of a file can be sent as labels as it is, in CSV and in JSON."""
    row = {"EVENT_ID": "1", "EVENT_LABEL": "FRAUD", "LABEL_TIMESTAMP": "2026-01-03T00:00:00"}
    body = "\n".join([",".join(row), ",".join(row.values()), ""]).encode()
    for payload in (csv_payload(body), json_labels([row])):
        labels = read_labels(payload, contract(IDENTITY, LABEL), OnError.REFUSE)
        assert (labels.ids[0], labels.frauds.tolist()) == ("1", [True])
        assert labels.confirmed[0] > 0


@pytest.mark.parametrize(
    ("label", "name"),
    [
        (Column("is_legit", Kind.LABEL, words=LabelWords.of(["0"], ["1"])), "is_legit"),
        (replace(LABEL, time_format=TimeFormat.DAY_FIRST), "LABEL_TIMESTAMP"),
    ],
)
def test_a_name_that_would_be_misread_is_not_taken(label: Column, name: str) -> None:
    """That of a label whose 1 is genuine, and of a moment that is written in another form."""
    row = {"transaction_id": "1", "fraud": True, name: "1"}
    with pytest.raises(NotLabels) as caught:
        read_labels(json_labels([row]), contract(IDENTITY, label), OnError.REFUSE)
    assert [(fault.column, fault.code) for fault in caught.value.faults] == [("#3", "unknown_column")]
    row["fraud"] = "0"
    del row[name]
    assert read_labels(json_labels([row]), contract(IDENTITY, label), OnError.REFUSE).frauds.tolist() == [False]


def test_a_moment_that_may_be_absent_is_not_missed_beside_other_faults() -> None:
    """Only what must be mended is named."""
    with pytest.raises(NotLabels) as caught:
        read_labels(csv_payload(b"transaction_id,fraud,reason\n1,1,x\n"), contract(IDENTITY), OnError.REFUSE)
    assert [(fault.column, fault.code) for fault in caught.value.faults] == [("#3", "unknown_column")]
