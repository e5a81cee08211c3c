"""What the answers of all systems say, in whichever of their forms: how many predictions, and which."""

import io
import json
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.frame import HEADER, Frame

KEY = b'"fraud_probability"'


class AnswerForm(StrEnum):
    """How the predictions of an answer are written; an answer of raw numbers cannot be told by its first bytes."""

    JSON = "JSON"
    CSV = "CSV"
    FLOATS = "float32"
    FRAME = "frame"


def count(form: AnswerForm, body: bytes) -> int:
    """How many predictions an answer has, without reading it whole: it is asked of each answer while others run."""
    if form is AnswerForm.JSON:
        return _json_count(body)
    if form is AnswerForm.CSV:
        return body.count(b"\n") - 1
    return (len(body) - HEADER.size * (form is AnswerForm.FRAME)) // 4


def _json_count(body: bytes) -> int:
    if b'"decision"' in body:
        return body.count(KEY)
    begin = body.rfind(b"[")
    end = body.find(b"]", begin)
    return body.count(b",", begin, end) + 1 if begin >= 0 and body[begin + 1 : end].strip() else 0


def probabilities(form: AnswerForm, body: bytes) -> NDArray[np.float64]:
    """The probabilities of an answer, in the order of the rows; shape (rows,)."""
    if form is AnswerForm.JSON:
        return np.array(_json_values(json.loads(body)), dtype=np.float64)
    if form is AnswerForm.CSV:
        return _csv_values(body)
    numbers = Frame.from_bytes(body).values if form is AnswerForm.FRAME else np.frombuffer(body, np.float32)
    return numbers.reshape(-1).astype(np.float64)


def _json_values(answer: Any) -> list[float]:  # noqa: ANN401 - JSON of any system
    if isinstance(answer, list):
        return [float(value) for value in answer]
    if "outputs" in answer:  # The V2 inference protocol.
        return [float(value) for value in answer["outputs"][0]["data"]]
    values = answer.get("probabilities", answer.get("predictions", []))
    return [float(value["fraud_probability"] if isinstance(value, dict) else value) for value in values]


def _csv_values(body: bytes) -> NDArray[np.float64]:
    header, _, rows = body.partition(b"\n")
    column = header.strip().split(b",").index(b"fraud_probability")
    return np.loadtxt(io.BytesIO(rows), delimiter=",", usecols=column, dtype=np.float64, ndmin=1)
