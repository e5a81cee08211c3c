from contract.schema import TextMatch, TimeFormat
from gateway.labels.parsing import json_labels, read_labels
from gateway.requests.payload import OnError, csv_payload

CSV = b"transaction_id,fraud,confirmed_at\n't-1',1,\nT-1,0,\n"


def test_an_id_is_matched_as_that_of_its_transaction() -> None:
    """With its quotes or without, in a file and in JSON; its case counts."""
    objects = [{"transaction_id": "'t-1'", "fraud": True}, {"transaction_id": "T-1", "fraud": False}]
    for payload in (csv_payload(CSV), json_labels(objects)):
        labels = read_labels(payload, TimeFormat.ISO, OnError.REFUSE, TextMatch.UNQUOTED)
        assert list(labels.ids) == ["t-1", "T-1"]
        exact = read_labels(payload, TimeFormat.ISO, OnError.REFUSE)
        assert list(exact.ids) == ["'t-1'", "T-1"]
