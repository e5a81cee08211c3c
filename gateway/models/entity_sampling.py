"""Which rows a version on trial scores: those of a sample of the entities, the same ones on every gateway.

A card or customer stays in its arm for as long as the trial lasts, on every gateway, after a restart, and when the
share grows: the arm depends on a hash of the entity's text and the version alone. Another version samples others.
"""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from contract.schema import Column, Contract, Kind
from contract.table import Table
from releases.record import Trial

HASH_BYTES = 8


def entity_column(contract: Contract) -> Column | None:
    """The column by which rows are sampled: the first entity, or else the id; None where there is neither."""
    return contract.first(Kind.ENTITY) or contract.first(Kind.ID)


def sampled_rows(contract: Contract, table: Table, trial: Trial) -> NDArray[np.int64]:
    """The positions in the table, ascending, of the rows that the trial scores."""
    column = entity_column(contract)
    if column is None:
        return np.empty(0, dtype=np.int64)
    texts = table.columns[column.name].tolist()
    entities = sampled_entities(texts, trial.version, trial.share)
    return np.array([position for position, text in enumerate(texts) if text in entities], dtype=np.int64)


def sampled_entities(texts: Iterable[str], version: int, share: float) -> set[str]:
    """The entities that the version on trial scores; an empty text names none.

    Each is hashed once, however many rows it has. Measured on 20,000 rows, finding the rows included: 13 ms where each
    is of an entity of its own, 2 ms with 2,000 entities; to read those rows took 30 ms.
    """
    # Compared as whole numbers: the quotient of the largest hash rounds to 1, which a share of 1 would leave out.
    below = share * 2 ** (8 * HASH_BYTES)
    keyed = blake2b(digest_size=HASH_BYTES, person=version.to_bytes(blake2b.PERSON_SIZE, "big"))
    return {text for text in set(texts) if text and _hash(keyed, text) < below}


def _hash(keyed: blake2b, text: str) -> int:
    state = keyed.copy()  # Half the time of a new one.
    state.update(text.encode(errors="surrogatepass"))
    return int.from_bytes(state.digest(), "big")
