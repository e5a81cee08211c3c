import json
from dataclasses import replace

import pytest

from tests.training.report.subjects import CARD, subject
from training.report.document import Document, document, short
from training.train import Trained


def without_time(report: Document) -> Document:
    """The report but for the moment at which it was made."""
    return {name: value for name, value in report.items() if name != "evaluated"}


def test_a_report_is_json_and_the_same_each_time() -> None:
    """It survives JSON without a NaN, and a second one is equal but for its moment."""
    first, second = document(subject()), document(subject())
    assert without_time(first) == without_time(second)
    assert json.loads(json.dumps(first, allow_nan=False)) == first


def test_the_paired_lead_is_over_each_baseline() -> None:
    """Each rival has its interval and that of the difference; the short form repeats it."""
    report = document(subject())
    assert [baseline["name"] for baseline in report["rivals"]] == ["gradient-boosted trees", "logistic regression"]
    for baseline in report["rivals"]:
        low, high = baseline["difference"]
        assert low <= report["test"]["average_precision"] - baseline["average_precision"] <= high
    assert [baseline["difference"] for baseline in short(report)["rivals"]] == [
        baseline["difference"] for baseline in report["rivals"]
    ]


def test_baselines_may_be_left_out() -> None:
    """Without them the report says why there are none."""
    report = document(subject(), compare=False)
    assert report["rivals"] == []
    assert "not asked for" in report["rivals_left_out"]


def test_no_id_or_entity_is_in_the_report() -> None:
    """Ids of the data are in no part of the report."""
    assert "secret-" not in json.dumps(document(subject(), compare=False))


def test_an_older_card_is_reported_on() -> None:
    """A card without decisions gives a report without costs, with the amount's value all the same."""
    report = document(replace(subject(), card=CARD), compare=False)
    assert report["costs"] is None
    assert report["amount"]["column"] == "amount"
    assert "value_detected" in report["test"]["alerts"]
    assert "cost" not in report["test"]["alerts"]


def test_training_packs_the_report_with_the_version(trained: Trained) -> None:
    """A version's archive holds page and JSON under its own number; its card has the short form."""
    contents = trained.parts.contents()
    report = json.loads(contents["report.json"])
    assert report["version"] == 3
    assert report["test"]["average_precision"] == pytest.approx(trained.card.metrics["test"]["average_precision"])
    assert trained.card.evaluation["average_precision_interval"] == report["test"]["average_precision_interval"]
    assert b"Fraud model 3" in contents["report.html"]
    assert report["decisions"] == trained.card.decisions["points"]
