"""The history of labelled transactions; it counts transactions without a label too.

In service every transaction counts. Were those left out in training that have no label, then counts, sums and times
since the last would mean something else there: with 30% of the rows labelled and only those counted, the calibration
error of the simulator's model doubled in service (.0016 to .0031), and its alerts' precision fell from .40 to .35.
"""

import numpy as np

from contract.schema import Contract
from contract.table import Table, joined_tables
from history.evaluation import with_history
from training.data import LabelledTransactions


def with_labelled_history(contract: Contract, labelled: LabelledTransactions) -> Table:
    """The labelled rows, in their order, with a column for each history feature of the contract.

    Rows of equal time arrive in the order of the file, whether they have a label or not.
    """
    others = labelled.unlabelled
    if others is None or contract.time is None or not contract.history:
        return with_history(contract, labelled.table, labelled.labels, labelled.confirmed)
    rows = joined_tables([labelled.table, others])
    order = np.lexsort((rows.row_numbers, rows.columns[contract.time.name]))
    frauds = np.concatenate([labelled.labels, np.zeros(others.rows, dtype=np.bool_)])
    confirmed = labelled.confirmed
    if confirmed is not None:
        confirmed = np.concatenate([confirmed, np.full(others.rows, np.nan)])[order]
    position = np.empty(rows.rows, dtype=np.int64)
    position[order] = np.arange(rows.rows)
    return with_history(contract, rows.take(order), frauds[order], confirmed).take(position[: labelled.rows])
