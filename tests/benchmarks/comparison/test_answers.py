"""What the answers of all systems say is read the same."""

import json

import numpy as np
import pytest

from benchmarks.comparison.answers import AnswerForm, count, probabilities
from contract.frame import Frame

VALUES = np.array([0.25, 0.5, 0.125], dtype=np.float32)
LIST = VALUES.tolist()
EACH = [{"row": n, "id": f"t[{n}]", "fraud_probability": value, "decision": "x"} for n, value in enumerate(LIST, 1)]
FORMS = {
    "ours": (AnswerForm.JSON, {"model_version": 1, "rows": 3, "predictions": EACH, "degraded": ["history"]}),
    "a list": (AnswerForm.JSON, LIST),
    "LitServe": (AnswerForm.JSON, {"probabilities": LIST}),
    "TorchServe": (AnswerForm.JSON, {"predictions": LIST}),
    "V2": (AnswerForm.JSON, {"outputs": [{"name": "p", "shape": [3, 1], "datatype": "FP32", "data": LIST}]}),
}
BODIES = {name: (form, json.dumps(answer).encode()) for name, (form, answer) in FORMS.items()} | {
    "indented": (AnswerForm.JSON, json.dumps({"predictions": LIST}, indent=2).encode()),
    "CSV": (AnswerForm.CSV, b"a,fraud_probability,d\n1,0.25,x\n2,0.5,x\n3,0.125,y\n"),
    "raw": (AnswerForm.FLOATS, VALUES.tobytes()),
    "frame": (AnswerForm.FRAME, Frame(1, "00" * 32, VALUES.reshape(-1, 1)).to_bytes()),
}


@pytest.mark.parametrize("name", BODIES)
def test_predictions_are_counted_and_read(name: str) -> None:
    """Three predictions in every form."""
    form, body = BODIES[name]
    assert count(form, body) == 3
    np.testing.assert_array_equal(probabilities(form, body), VALUES)


def test_an_answer_without_predictions_has_none() -> None:
    """An empty list, or an error."""
    assert count(AnswerForm.JSON, b'{"predictions": []}') == 0
    assert count(AnswerForm.JSON, b'{"title": "busy"}') == 0
