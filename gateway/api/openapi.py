"""The OpenAPI document: the routes, and what the live version says of a transaction and a label.

It is made anew when another version goes live, and says no more than that they are objects where none is.
"""

import copy
import csv
import io
from collections.abc import Collection, Mapping
from typing import Any

from contract.schema import Contract, TimeFormat
from gateway.api.json_schema import Schema, of_columns, transaction
from gateway.api.replies import to_json
from gateway.http.problems import NoModel
from gateway.labels.parsing import FRAUD, label_columns
from gateway.models.model_tracker import ModelTracker
from gateway.models.serving_versions import ServingVersions

UNKNOWN: Schema = {"type": "object", "description": "The columns are those of the live version, and none is live."}
FRAUDS: Schema = {"enum": [True, False, 1, 0], "examples": [True]}


class OpenApi:
    """Makes the document."""

    def __init__(self, live: ModelTracker, most: int, most_files: int) -> None:
        """Takes which version is live, and how many transactions a list and how many files a batch may hold."""
        self._live = live
        self._most = most
        self._most_files = most_files
        self._of: tuple[str, Collection[str]] | None = None
        self._text = b""

    def document(self, base: Mapping[str, Any]) -> bytes:
        """The document as JSON, given what FastAPI makes of the routes; the last one is kept."""
        serving = self._serving
        of = (serving.model.contract.fingerprint, serving.others) if serving else ("", frozenset())
        if of != self._of:
            self._of, self._text = of, to_json(self._made(base, serving))
        return self._text

    @property
    def _serving(self) -> ServingVersions | None:
        try:
            return self._live.serving
        except NoModel:
            return None

    def _made(self, base: Mapping[str, Any], serving: ServingVersions | None) -> dict[str, Any]:
        document = copy.deepcopy(dict(base))
        one, label = UNKNOWN, UNKNOWN
        if serving:
            contract = serving.model.contract
            one, label = transaction(contract, serving.others), _label(contract)
        lists = {"Transactions": _list("Transaction", one, self._most), "Labels": _list("Label", label, self._most)}
        form = document["paths"]["/predict/batch"]["post"]["requestBody"]["content"]["multipart/form-data"]
        form["schema"]["properties"]["files"]["maxItems"] = self._most_files
        document["components"]["schemas"] |= {"Transaction": one, "Label": label, **lists}
        for path, schema in (("/upload", one), ("/v1/labels", label)):
            if "examples" in schema:
                content = document["paths"][path]["post"]["requestBody"]["content"]
                content["text/csv"]["example"] = _file(schema["examples"][0])
        return document


def _label(contract: Contract) -> Schema:
    """Of a version whose transactions have no time nothing is remembered, and no label is taken."""
    time = contract.time.time_format if contract.time else TimeFormat.ISO
    schema = of_columns(label_columns(time))
    schema["properties"][FRAUD] = FRAUDS
    schema["examples"][0][FRAUD] = True
    return schema


def _list(of: str, schema: Schema, most: int) -> Schema:
    """At most so many of them."""
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{of}"}, "minItems": 1, "maxItems": most}
    return items | ({"examples": [schema["examples"]]} if "examples" in schema else {})


def _file(row: Mapping[str, Any]) -> str:
    """A CSV file of one row."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([row.keys(), [str(value).lower() if isinstance(value, bool) else value for value in row.values()]])
    return text.getvalue()
