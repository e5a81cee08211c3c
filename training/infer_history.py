"""The `[[history]]` blocks of a first schema: what is worth knowing of whoever appears often enough to have a past."""

import json
import re
from collections.abc import Mapping

import pandas as pd

AMOUNT_NAME = re.compile(r"amount|amt|(^|[^a-z])(value|price|total|sum|paid|charge)s?([^a-z]|$)", re.IGNORECASE)
MOST_ENTITIES = 3
"""Who gets a history: each costs bytes and time in serving."""
FEWEST_ROWS = 2
"""Of each entity on the average: of those that appear once there is nothing to remember."""
SHORT, LONG, LABELLED = '["1d", "7d", "30d"]', '["30d"]', '["7d", "30d"]'
HEADING = [
    "# History: computed of the earlier transactions of each entity. A risk is the share of confirmed frauds, and ends",
    "# a delay (7d) before the transaction: labels are known by then.",
]


def history(frame: pd.DataFrame, entities: list[str], numbers: list[str]) -> str:
    """The blocks for these columns of a file with times, as TOML; nothing where no entity has a past."""
    chosen = [name for name in entities if _has_past(frame[name])][:MOST_ENTITIES]
    amount = next((name for name in numbers if AMOUNT_NAME.search(name)), None)
    blocks = [block for entity in chosen for block in _blocks(entity, amount)]
    return "\n".join([*HEADING, *blocks]) if blocks else ""


def _has_past(column: pd.Series) -> bool:
    known = column[column != ""]
    different = known.nunique()
    return 1 < different <= len(known) / FEWEST_ROWS


def _blocks(entity: str, amount: str | None) -> list[str]:
    column = {} if amount is None else {"column": _quoted(amount)}
    means, ratio = ('["count", "mean"]', '["since_last", "ratio"]') if column else ('["count"]', '["since_last"]')
    of = {"entity": _quoted(entity)}
    log = {"log": "true"}
    return [
        _block({**of, "aggregates": means, **column, "windows": SHORT, **log}),
        _block({**of, "aggregates": ratio, **column, "windows": LONG, **log}),
        _block({**of, "aggregates": '["risk"]', "windows": LABELLED}),
    ]


def _block(keys: Mapping[str, str]) -> str:
    return "\n".join(["[[history]]", *(f"{key} = {value}" for key, value in keys.items()), ""])


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
