from dataclasses import replace

from contract.schema import Column, Kind, TextMatch
from contract.windows import HOUR
from gateway.labels.parsing import json_labels, read_labels
from gateway.requests.payload import OnError, csv_payload

TIME = Column("timestamp", Kind.TIMESTAMP)
CSV = b"transaction_id,fraud,confirmed_at\n't-1',1,\nT-1,0,\n"


def test_an_id_is_matched_as_that_of_its_transaction() -> None:
    """With its quotes or without, in a file and in JSON; its case counts."""
    objects = [{"transaction_id": "'t-1'", "fraud": True}, {"transaction_id": "T-1", "fraud": False}]
    for payload in (csv_payload(CSV), json_labels(objects)):
        labels = read_labels(payload, TIME, OnError.REFUSE, TextMatch.UNQUOTED)
        assert list(labels.ids) == ["t-1", "T-1"]
        exact = read_labels(payload, TIME, OnError.REFUSE)
        assert list(exact.ids) == ["'t-1'", "T-1"]


def test_a_moment_is_of_the_zone_of_its_transaction() -> None:
    """A label that is written by the same clocks is not taken for one before its transaction."""
    berlin = replace(TIME, zone="Europe/Berlin")
    body = b"transaction_id,fraud,confirmed_at\n1,yes,2026-07-01T12:00:00\n2,no,2026-07-01T12:00:00+00:00\n"
    labels = read_labels(csv_payload(body), berlin, OnError.REFUSE)
    assert (labels.confirmed[1] - labels.confirmed[0]).item() == 2 * HOUR
    assert labels.frauds.tolist() == [True, False]
