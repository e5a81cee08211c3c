"""What all peers score with gives what the gateway's own reader, features and module give."""

import json

import numpy as np
import pytest
import torch

from benchmarks.comparison.inputs import transactions
from benchmarks.peers.scorer import BLOCK_ROWS, PeerScorer
from contract.features import to_matrix
from contract.table import read_csv
from tests.benchmarks.peers.versions import WeightedSum, write_plain_version

ROWS = transactions(50_000)[:500]


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> PeerScorer:
    """Over the tiny module."""
    return PeerScorer(write_plain_version(tmp_path_factory.mktemp("version")))


def expected(scorer: PeerScorer) -> np.ndarray:
    """By the contract's own reader, and the module before it was scripted."""
    matrix = to_matrix(scorer.contract, read_csv(scorer.contract, ROWS.to_csv(index=False).encode()).table)
    with torch.inference_mode():
        probabilities: np.ndarray = WeightedSum()(torch.from_numpy(matrix)).numpy()
    return probabilities


def test_json_scores_as_the_contract_reads_it(scorer: PeerScorer) -> None:
    """Transactions as JSON objects."""
    given = scorer.score(json.loads(json.dumps(ROWS.to_dict("records"))))
    np.testing.assert_array_equal(given, expected(scorer))
    assert given.std() > 0.01


def test_a_file_scores_as_the_contract_reads_it(scorer: PeerScorer) -> None:
    """A CSV file by pandas, with its ids."""
    ids, matrix = scorer.csv_matrix(ROWS.to_csv(index=False).encode())
    np.testing.assert_array_equal(scorer.probabilities(matrix), expected(scorer))
    assert ids == ROWS["transaction_id"].tolist()


def test_blocks_do_not_show(scorer: PeerScorer) -> None:
    """More rows than one block have the probabilities that they have alone."""
    matrix = np.tile(scorer.csv_matrix(ROWS.to_csv(index=False).encode())[1], (BLOCK_ROWS // len(ROWS) + 1, 1))
    assert len(matrix) > BLOCK_ROWS
    np.testing.assert_array_equal(scorer.probabilities(matrix)[-len(ROWS) :], expected(scorer))
