from dataclasses import replace

import numpy as np
import pytest

from contract.model_card import ModelCard
from tests.training.report.subjects import CARD, DAY, START, labelled, score
from tests.training.rows import contract
from training.errors import TrainingError
from training.report.subject import NO_TIME, Subject, subject

PERIODS = {
    "train": {"start": 0, "rows": 300, "first": "2026-01-01T00:00:00+00:00", "last": "2026-01-15T00:00:00+00:00"},
    "validation": {
        "start": 320,
        "rows": 100,
        "first": "2026-01-16T00:00:00+00:00",
        "last": "2026-01-20T00:00:00+00:00",
    },
    "test": {"start": 450, "rows": 150},
}
TRAINED = replace(CARD, data={"sha256": "0" * 64, "periods": PERIODS})


def about(card: ModelCard = TRAINED, sha256: str = "0" * 64, first: float = START) -> Subject:
    """The version on thirty days of rows."""
    return subject(contract(), card, score, replace(labelled(first=first), sha256=sha256), "pay.csv")


def test_the_training_file_is_cut_as_in_training() -> None:
    """Positions are the card's: train, validation and test are the rows that they were."""
    found = about()
    assert found.train is not None
    assert found.validation is not None
    assert [len(each.labels) for each in (found.train, found.validation, found.test)] == [300, 100, 150]
    assert found.test.table.row_numbers[0] == 451


def test_another_file_is_measured_after_the_validation_period() -> None:
    """Of a file with other bytes only what is newer than all that was learned counts."""
    found = about(sha256="1" * 64)
    assert found.test.seconds is not None
    assert found.test.seconds.min() > START + 19 * DAY
    assert found.train is not None
    assert found.data is not None
    assert found.data["same"] is False


def test_rows_count_as_the_file_says() -> None:
    """Each period's rows keep what they stand for."""
    rows = replace(labelled(), weights=np.arange(1.0, 601.0, dtype=np.float64))
    found = subject(contract(), TRAINED, score, rows, "pay.csv")
    assert found.test.weights.tolist() == list(range(451, 601))


def test_a_newer_file_has_no_rows_to_train_baselines_on() -> None:
    """What lies wholly after the training is all test."""
    found = about(sha256="1" * 64, first=START + 90 * DAY)
    assert (found.train, found.validation, len(found.test.labels)) == (None, None, 600)


def test_a_file_that_was_learned_from_is_refused() -> None:
    """Without a newer row nothing can be measured, and it is said what to bring."""
    with pytest.raises(TrainingError, match="bring newer rows"):
        about(sha256="1" * 64, first=START - 90 * DAY)


def test_without_times_it_is_noted() -> None:
    """A card that tells no times leaves open what was learned from: noted, not hidden."""
    assert NO_TIME in about(replace(CARD, data={"sha256": "2" * 64})).notes


@pytest.mark.parametrize(("fraud", "lacking"), [(True, "genuine"), (False, "fraud")])
def test_one_class_is_refused(fraud: bool, lacking: str) -> None:
    """Rows of one class cannot be ranked, and the class that is missing is named."""
    rows = labelled()
    one = replace(rows, labels=np.full(rows.rows, fraud))
    with pytest.raises(TrainingError, match=lacking):
        subject(contract(), TRAINED, score, one, "pay.csv")


def test_scores_of_blocks_are_the_scores_of_all() -> None:
    """Rows are scored in blocks, in their order; none is none."""
    found = about()
    whole = np.tile(found.test.matrix, (150, 1))
    assert np.array_equal(found.scores(whole), score(whole))
    assert not len(found.scores(whole[:0]))
