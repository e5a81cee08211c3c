"""The OpenAPI document: the routes, and what the live version says of a transaction and a label.

It is made anew when another version goes live, and says no more than that they are objects where none is.
"""

import copy
import csv
import io
from collections.abc import Collection, Mapping
from typing import Any

from contract.schema import Contract
from gateway.api.json_schema import Schema, object_schema, transaction_schema
from gateway.api.replies import to_json
from gateway.http.problems import NoModel
from gateway.labels.parsing import FRAUD, label_columns, label_words
from gateway.models.model_tracker import ModelTracker
from gateway.models.serving_versions import ServingVersions

UNKNOWN_COLUMNS: Schema = {
    "type": "object",
    "description": "The columns are those of the live version, and none is live.",
}
FRAUDS = [True, False, 1, 0, "true", "false", "1", "0", "yes", "no", "fraud", "legit", "chargeback", "genuine"]
"""How a label may be written; a few more words are taken, and those of the model's own label."""


class OpenApi:
    """Makes the document."""

    def __init__(self, tracker: ModelTracker, max_items: int, max_files: int) -> None:
        """Takes which version is live, and how many transactions a list and how many files a batch may hold at most."""
        self._tracker = tracker
        self._max_items = max_items
        self._max_files = max_files
        self._cache_key: tuple[str, Collection[str]] | None = None
        self._cached = b""

    def document(self, base: Mapping[str, Any]) -> bytes:
        """The document as JSON, from what FastAPI makes of the routes; cached until other columns are accepted."""
        serving = self._serving
        key = (serving.model.contract.fingerprint, serving.others) if serving else ("", frozenset())
        if key != self._cache_key:
            self._cache_key, self._cached = key, to_json(self._build(base, serving))
        return self._cached

    @property
    def _serving(self) -> ServingVersions | None:
        try:
            return self._tracker.serving
        except NoModel:
            return None

    def _build(self, base: Mapping[str, Any], serving: ServingVersions | None) -> dict[str, Any]:
        document = copy.deepcopy(dict(base))
        one, label = UNKNOWN_COLUMNS, UNKNOWN_COLUMNS
        if serving:
            contract = serving.model.contract
            one, label = transaction_schema(contract, serving.others), _label(contract)
        lists = {
            "Transactions": _list("Transaction", one, self._max_items),
            "Labels": _list("Label", label, self._max_items),
        }
        form = document["paths"]["/predict/batch"]["post"]["requestBody"]["content"]["multipart/form-data"]
        form["schema"]["properties"]["files"]["maxItems"] = self._max_files
        document["components"]["schemas"] |= {"Transaction": one, "Label": label, **lists}
        for path, schema in (("/upload", one), ("/v1/check", one), ("/v1/labels", label)):
            if "examples" in schema:
                content = document["paths"][path]["post"]["requestBody"]["content"]
                content["text/csv"]["example"] = _file(schema["examples"][0])
        return document


def _label(contract: Contract) -> Schema:
    """Of a version whose transactions have no time nothing is remembered, and no label is taken."""
    schema, words = object_schema(label_columns(contract)), label_words(contract)
    options = [*FRAUDS, *(word for word in (*words.fraud, *words.genuine) if word and word not in FRAUDS)]
    schema["properties"][FRAUD] = {"enum": options, "examples": [True]}
    schema["examples"][0][FRAUD] = True
    return schema


def _list(of: str, schema: Schema, max_items: int) -> Schema:
    """An array of at most `max_items` of them."""
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{of}"}, "minItems": 1, "maxItems": max_items}
    return items | ({"examples": [schema["examples"]]} if "examples" in schema else {})


def _file(row: Mapping[str, Any]) -> str:
    """A CSV file of one row."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([row.keys(), [str(value).lower() if isinstance(value, bool) else value for value in row.values()]])
    return text.getvalue()
